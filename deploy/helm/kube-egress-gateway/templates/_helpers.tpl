{{/* The image of a component: its own repository and tag if it has a tag, else the common pair. Called with
(list $ .Values.component). */}}
{{- define "egress.image" -}}
{{- $common := (index . 0).Values.common -}}
{{- $component := index . 1 -}}
{{- if hasKey $component "imageTag" -}}
{{- $component.imageRepository | default $common.imageRepository }}/{{ $component.imageName }}:{{ $component.imageTag }}
{{- else -}}
{{- $common.imageRepository }}/{{ $component.imageName }}:{{ $common.imageTag }}
{{- end -}}
{{- end }}

{{/* Labels of every object. */}}
{{- define "egress.labels" -}}
app: kube-egress-gateway
app.kubernetes.io/name: kube-egress-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The tunnel plugin's entry in host.yaml. */}}
{{- define "egress.tunnel" -}}
{{- $file := get (dict "wireguard" "libWireGuard.so" "vxlan" "libVXLAN.so") .Values.tunnel -}}
{{- if not $file }}{{ fail (printf "tunnel is %q; allowed are wireguard, vxlan" .Values.tunnel) }}{{ end -}}
{ name: {{ .Values.tunnel }}, path: {{ $file }}, config: {} }
{{- end }}

{{/* Probes of the status server. Called with the port. */}}
{{- define "egress.probes" -}}
livenessProbe:
  httpGet: { path: /healthz, port: {{ . }} }
  initialDelaySeconds: 15
  periodSeconds: 20
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: {{ . }} }
  initialDelaySeconds: 5
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}

{{/* The environment of every role. */}}
{{- define "egress.environment" -}}
- name: MY_NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: MY_POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
{{- end }}
