package main

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
)

// strategy is what all built-in kinds have in common: spec and status apart, generations, names.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	kind     builtInKind
	ofStatus bool
}

func (s strategy) NamespaceScoped() bool        { return !s.kind.clusterWide }
func (s strategy) AllowCreateOnUpdate() bool    { return s.kind.putCreates }
func (strategy) AllowUnconditionalUpdate() bool { return true }
func (strategy) Canonicalize(runtime.Object)    {}

func (strategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }
func (strategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s strategy) PrepareForCreate(_ context.Context, object runtime.Object) {
	if status := member(object, "Status"); status.IsValid() {
		status.SetZero()
	}
	if member(object, "Spec").IsValid() {
		accessor, err := meta.Accessor(object)
		utilruntime.Must(err)
		accessor.SetGeneration(1)
	}
	switch typed := object.(type) {
	case *corev1.Pod:
		typed.Status.Phase = corev1.PodPending
	case *corev1.Namespace:
		typed.Status.Phase = corev1.NamespaceActive
	}
	defaultSecret(object)
}

func (s strategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	now, err := meta.Accessor(object)
	utilruntime.Must(err)
	before, err := meta.Accessor(old)
	utilruntime.Must(err)
	if s.ofStatus {
		member(object, "Spec").Set(member(old.DeepCopyObject(), "Spec"))
		metav1.ResetObjectMetaForStatus(now, before)
		return
	}
	if status := member(object, "Status"); status.IsValid() {
		status.Set(member(old, "Status"))
	}
	now.SetGeneration(before.GetGeneration())
	spec := member(object, "Spec")
	if spec.IsValid() && !apiequality.Semantic.DeepEqual(spec.Interface(), member(old, "Spec").Interface()) {
		now.SetGeneration(before.GetGeneration() + 1)
	}
	defaultSecret(object)
}

func defaultSecret(object runtime.Object) {
	secret, isSecret := object.(*corev1.Secret)
	if !isSecret {
		return
	}
	if secret.Type == "" {
		secret.Type = corev1.SecretTypeOpaque
	}
	for key, value := range secret.StringData {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		secret.Data[key] = []byte(value)
	}
	secret.StringData = nil
}

func (s strategy) Validate(_ context.Context, object runtime.Object) field.ErrorList {
	if s.kind.version.Group == rbacv1.GroupName {
		return nil
	}
	accessor, err := meta.Accessor(object)
	utilruntime.Must(err)
	var found field.ErrorList
	for _, reason := range validation.NameIsDNSSubdomain(accessor.GetName(), false) {
		found = append(found, field.Invalid(field.NewPath("metadata", "name"), accessor.GetName(), reason))
	}
	return found
}

func (strategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

// shortStore is a store that tells discovery its short names.
type shortStore struct {
	*genericregistry.Store
	names []string
}

func (s shortStore) ShortNames() []string { return s.names }

// statusStore gives a status subresource the verbs it has, no others.
type statusStore struct{ store *genericregistry.Store }

func (s statusStore) New() runtime.Object { return s.store.New() }
func (s statusStore) Destroy()            {}

func (s statusStore) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

func (s statusStore) Update(
	ctx context.Context, name string, info rest.UpdatedObjectInfo, validateCreate rest.ValidateObjectFunc,
	validateUpdate rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, validateCreate, validateUpdate, false, options)
}

func (s statusStore) ConvertToTable(
	ctx context.Context, object runtime.Object, options runtime.Object,
) (*metav1.Table, error) {
	return s.store.ConvertToTable(ctx, object, options)
}

// storesOf makes a kind's store, and that of its status (nil where it has no status).
func storesOf(kind builtInKind, getter generic.RESTOptionsGetter) (rest.Storage, rest.Storage) {
	resource := schema.GroupResource{Group: kind.version.Group, Resource: kind.plural}
	attributes := func(object runtime.Object) (labels.Set, fields.Set, error) {
		accessor, err := meta.Accessor(object)
		if err != nil {
			return nil, nil, err
		}
		set := fields.Set{"metadata.name": accessor.GetName()}
		if !kind.clusterWide {
			set["metadata.namespace"] = accessor.GetNamespace()
		}
		if kind.selectable != nil {
			set = generic.MergeFieldsSets(set, kind.selectable(object))
		}
		return accessor.GetLabels(), set, nil
	}
	common := strategy{ObjectTyper: builtInScheme, NameGenerator: names.SimpleNameGenerator, kind: kind}
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return newBuiltIn(kind, "") },
		NewListFunc:               func() runtime.Object { return newBuiltIn(kind, "List") },
		DefaultQualifiedResource:  resource,
		SingularQualifiedResource: schema.GroupResource{Group: resource.Group, Resource: strings.ToLower(kind.name)},
		PredicateFunc: func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
			return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes}
		},
		CreateStrategy: common, UpdateStrategy: common, DeleteStrategy: common,
		EnableGarbageCollection: true,
		TableConvertor:          rest.NewDefaultTableConvertor(resource),
	}
	utilruntime.Must(store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter, AttrFunc: attributes}))
	if !member(store.New(), "Status").IsValid() || !member(store.New(), "Spec").IsValid() {
		return shortStore{store, kind.shortNames}, nil
	}
	ofStatus := *store
	common.ofStatus = true
	ofStatus.UpdateStrategy = common
	return shortStore{store, kind.shortNames}, statusStore{&ofStatus}
}
