package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// PodEndpoint with its Go types, as code generators of Kubernetes make them: the faster way to decode than the dynamic
// client's maps.
type PodEndpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              PodEndpointSpec   `json:"spec,omitempty"`
	Status            PodEndpointStatus `json:"status,omitempty"`
}

type PodEndpointSpec struct {
	StaticGatewayConfiguration string `json:"staticGatewayConfiguration,omitempty"`
	PodIpAddress               string `json:"podIpAddress,omitempty"`
	PodPublicKey               string `json:"podPublicKey,omitempty"`
}

type PodEndpointStatus struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

type PodEndpointList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PodEndpoint `json:"items"`
}

func (in *PodEndpoint) DeepCopyObject() runtime.Object {
	out := &PodEndpoint{TypeMeta: in.TypeMeta, Spec: in.Spec}
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	for _, condition := range in.Status.Conditions {
		out.Status.Conditions = append(out.Status.Conditions, *condition.DeepCopy())
	}
	return out
}

func (in *PodEndpointList) DeepCopyObject() runtime.Object {
	out := &PodEndpointList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for index := range in.Items {
		out.Items = append(out.Items, *in.Items[index].DeepCopyObject().(*PodEndpoint))
	}
	return out
}

// newClient makes a typed client that is not limited in its rate, as the other side is not.
func newClient(address string) (*rest.RESTClient, error) {
	version := schema.GroupVersion{Group: "egressgateway.kubernetes.azure.com", Version: "v1alpha1"}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(version, &PodEndpoint{}, &PodEndpointList{})
	metav1.AddToGroupVersion(scheme, version)
	return rest.RESTClientFor(&rest.Config{
		Host: address, APIPath: "/apis", QPS: -1,
		ContentConfig: rest.ContentConfig{
			GroupVersion:         &version,
			NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
		},
	})
}
