package main

import (
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// builtInKind is a kind of k8s.io/api that this server stores.
type builtInKind struct {
	version      schema.GroupVersion
	name, plural string
	shortNames   []string
	clusterWide  bool
	// Field selectors beyond metadata.name and metadata.namespace, as kube-apiserver has them.
	selectable func(runtime.Object) fields.Set
	// Whether PUT may create, as kube-apiserver's strategy of the kind says.
	putCreates bool
}

var builtInKinds = []builtInKind{
	{version: corev1.SchemeGroupVersion, name: "Namespace", plural: "namespaces", shortNames: []string{"ns"}, clusterWide: true},
	{version: corev1.SchemeGroupVersion, name: "Node", plural: "nodes", shortNames: []string{"no"}, clusterWide: true},
	{version: corev1.SchemeGroupVersion, name: "Pod", plural: "pods", shortNames: []string{"po"}, selectable: podFields},
	{version: corev1.SchemeGroupVersion, name: "Secret", plural: "secrets", selectable: secretFields},
	{version: corev1.SchemeGroupVersion, name: "ConfigMap", plural: "configmaps", shortNames: []string{"cm"}},
	{version: corev1.SchemeGroupVersion, name: "Service", plural: "services", shortNames: []string{"svc"}},
	{version: corev1.SchemeGroupVersion, name: "ServiceAccount", plural: "serviceaccounts", shortNames: []string{"sa"}},
	{version: corev1.SchemeGroupVersion, name: "Event", plural: "events", shortNames: []string{"ev"}, selectable: eventFields, putCreates: true},
	{version: appsv1.SchemeGroupVersion, name: "Deployment", plural: "deployments", shortNames: []string{"deploy"}},
	{version: appsv1.SchemeGroupVersion, name: "DaemonSet", plural: "daemonsets", shortNames: []string{"ds"}},
	{version: coordinationv1.SchemeGroupVersion, name: "Lease", plural: "leases", putCreates: true},
	{version: eventsv1.SchemeGroupVersion, name: "Event", plural: "events", shortNames: []string{"ev"}, putCreates: true},
	{version: policyv1.SchemeGroupVersion, name: "PodDisruptionBudget", plural: "poddisruptionbudgets", shortNames: []string{"pdb"}},
	{version: rbacv1.SchemeGroupVersion, name: "Role", plural: "roles", putCreates: true},
	{version: rbacv1.SchemeGroupVersion, name: "RoleBinding", plural: "rolebindings", putCreates: true},
	{version: rbacv1.SchemeGroupVersion, name: "ClusterRole", plural: "clusterroles", clusterWide: true, putCreates: true},
	{version: rbacv1.SchemeGroupVersion, name: "ClusterRoleBinding", plural: "clusterrolebindings", clusterWide: true, putCreates: true},
	{version: schedulingv1.SchemeGroupVersion, name: "PriorityClass", plural: "priorityclasses", shortNames: []string{"pc"}, clusterWide: true},
}

var (
	builtInScheme     = runtime.NewScheme()
	builtInCodecs     = serializer.NewCodecFactory(builtInScheme)
	builtInParameters = runtime.NewParameterCodec(builtInScheme)
)

func podFields(object runtime.Object) fields.Set {
	pod := object.(*corev1.Pod)
	return fields.Set{
		"spec.nodeName": pod.Spec.NodeName, "spec.restartPolicy": string(pod.Spec.RestartPolicy),
		"spec.schedulerName": pod.Spec.SchedulerName, "spec.serviceAccountName": pod.Spec.ServiceAccountName,
		"status.phase": string(pod.Status.Phase), "status.podIP": pod.Status.PodIP,
		"status.nominatedNodeName": pod.Status.NominatedNodeName,
	}
}

func secretFields(object runtime.Object) fields.Set {
	return fields.Set{"type": string(object.(*corev1.Secret).Type)}
}

func eventFields(object runtime.Object) fields.Set {
	event := object.(*corev1.Event)
	return fields.Set{
		"involvedObject.kind": event.InvolvedObject.Kind, "involvedObject.name": event.InvolvedObject.Name,
		"involvedObject.namespace": event.InvolvedObject.Namespace, "involvedObject.uid": string(event.InvolvedObject.UID),
		"reason": event.Reason, "type": event.Type,
	}
}

// registerBuiltInKinds fills the scheme. The types of k8s.io/api stand for the internal version, which the generic
// registry works on, as well: with one version of each kind there is nothing to convert.
func registerBuiltInKinds() {
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, coordinationv1.AddToScheme, eventsv1.AddToScheme,
		policyv1.AddToScheme, rbacv1.AddToScheme, schedulingv1.AddToScheme,
	} {
		utilruntime.Must(add(builtInScheme))
	}
	metav1.AddToGroupVersion(builtInScheme, schema.GroupVersion{Version: "v1"})
	seen := map[schema.GroupVersion]bool{}
	for _, kind := range builtInKinds {
		if !seen[kind.version] {
			seen[kind.version] = true
			internal := schema.GroupVersion{Group: kind.version.Group, Version: runtime.APIVersionInternal}
			for _, name := range []string{"", "List"} {
				for _, other := range builtInKinds {
					if other.version == kind.version {
						builtInScheme.AddKnownTypeWithName(internal.WithKind(other.name+name), newBuiltIn(other, name))
					}
				}
			}
			utilruntime.Must(builtInScheme.SetVersionPriority(kind.version))
		}
		if kind.selectable != nil {
			registerSelectors(kind)
		}
	}
}

func registerSelectors(kind builtInKind) {
	known := kind.selectable(newBuiltIn(kind, ""))
	utilruntime.Must(builtInScheme.AddFieldLabelConversionFunc(
		kind.version.WithKind(kind.name),
		func(label, value string) (string, string, error) {
			if known.Has(label) {
				return label, value, nil
			}
			return runtime.DefaultMetaV1FieldSelectorConversion(label, value)
		}))
}

func newBuiltIn(kind builtInKind, suffix string) runtime.Object {
	object, err := builtInScheme.New(kind.version.WithKind(kind.name + suffix))
	utilruntime.Must(err)
	return object
}

// member is a member of an object by its Go name; invalid where the kind has none of that name.
func member(object runtime.Object, name string) reflect.Value {
	return reflect.ValueOf(object).Elem().FieldByName(name)
}
