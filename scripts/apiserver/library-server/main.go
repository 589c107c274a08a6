// library-server is an API server for tests: Kubernetes' own libraries for storage in etcd, watches, patches,
// server-side apply, CustomResourceDefinitions with their schemas and CEL rules, discovery and OpenAPI.
//
// It is not kube-apiserver. The defaults and checks of the built-in kinds, RBAC, admission, service account tokens,
// garbage collection and the lives of pods and namespaces are in k8s.io/kubernetes, which Debian has no library of.
package main

import (
	"context"
	"flag"
	"net"

	"go.opentelemetry.io/otel/trace/noop"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	genericserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/webhook"

	"library-server/models"
)

type settings struct {
	etcd, certificate, key, tokens string
	port                           int
}

func main() {
	var chosen settings
	flag.StringVar(&chosen.etcd, "etcd", "", "address of etcd, version 3.5 or later")
	flag.IntVar(&chosen.port, "port", 0, "HTTPS port on 127.0.0.1")
	flag.StringVar(&chosen.certificate, "certificate", "", "PEM file of the server's certificate")
	flag.StringVar(&chosen.key, "key", "", "PEM file of the certificate's key")
	flag.StringVar(&chosen.tokens, "tokens", "", "CSV file of bearer tokens: token,user,uid,groups")
	flag.Parse()
	registerBuiltInKinds()
	etcd, config := configuration(chosen)
	extensions := apiserver.ExtraConfig{
		CRDRESTOptionsGetter: options.NewCRDRESTOptionsGetter(
			*etcd, config.ResourceTransformers, config.StorageObjectCountTracker),
		ServiceResolver: webhook.NewDefaultServiceResolver(),
		AuthResolverWrapper: webhook.NewDefaultAuthenticationInfoResolverWrapper(
			nil, nil, config.LoopbackClientConfig, noop.NewTracerProvider()),
		MasterCount: 1,
	}
	completed := (&apiserver.Config{GenericConfig: config, ExtraConfig: extensions}).Complete()
	// Off by default, because the aggregator in front of it answers discovery elsewhere.
	completed.GenericConfig.EnableDiscovery = true
	server, err := completed.New(genericserver.NewEmptyDelegate())
	utilruntime.Must(err)
	installBuiltInKinds(server.GenericAPIServer, etcd, config)
	utilruntime.Must(server.GenericAPIServer.PrepareRun().RunWithContext(genericserver.SetupSignalContext()))
}

// configuration of the generic server: TLS on loopback, bearer tokens, all rights for system:masters and none for
// others.
func configuration(chosen settings) (*genericoptions.EtcdOptions, *genericserver.RecommendedConfig) {
	all := options.NewCustomResourceDefinitionsServerOptions(nil, nil)
	recommended := all.RecommendedOptions
	recommended.Etcd.StorageConfig.Transport.ServerList = []string{chosen.etcd}
	recommended.SecureServing.BindAddress = net.IPv4(127, 0, 0, 1)
	recommended.SecureServing.BindPort = chosen.port
	recommended.SecureServing.ServerCert.CertKey = genericoptions.CertKey{
		CertFile: chosen.certificate, KeyFile: chosen.key,
	}
	recommended.Authentication, recommended.Authorization = nil, nil
	recommended.CoreAPI, recommended.Admission = nil, nil
	recommended.Features.EnablePriorityAndFairness = false
	utilruntime.Must(all.ServerRunOptions.ComponentGlobalsRegistry.Set())
	utilruntime.Must(all.Complete())

	config := genericserver.NewRecommendedConfig(apiserver.Codecs)
	utilruntime.Must(all.ServerRunOptions.ApplyTo(&config.Config))
	utilruntime.Must(recommended.ApplyTo(config))
	utilruntime.Must(all.APIEnablement.ApplyTo(
		&config.Config, apiserver.DefaultAPIResourceConfigSource(), apiserver.Scheme))
	tokens, err := tokenfile.NewCSV(chosen.tokens)
	utilruntime.Must(err)
	config.Authentication.Authenticator = group.NewAuthenticatedGroupAdder(bearertoken.New(tokens))
	config.Authorization.Authorizer = authorizerfactory.NewPrivilegedGroups("system:masters")
	namer := openapi.NewDefinitionNamer(apiserver.Scheme, builtInScheme)
	config.OpenAPIConfig = genericserver.DefaultOpenAPIConfig(models.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config = genericserver.DefaultOpenAPIV3Config(models.GetOpenAPIDefinitions, namer)
	return recommended.Etcd, config
}

func installBuiltInKinds(
	server *genericserver.GenericAPIServer, etcd *genericoptions.EtcdOptions, config *genericserver.RecommendedConfig,
) {
	var versions []schema.GroupVersion
	stores := map[schema.GroupVersion]map[string]rest.Storage{}
	for _, kind := range builtInKinds {
		if stores[kind.version] == nil {
			stores[kind.version] = map[string]rest.Storage{}
			versions = append(versions, kind.version)
		}
	}
	storage := etcd.StorageConfig
	storage.Codec = builtInCodecs.LegacyCodec(versions...)
	storage.StorageObjectCountTracker = config.StorageObjectCountTracker
	getter := etcd.CreateRESTOptionsGetter(
		&genericoptions.SimpleStorageFactory{StorageConfig: storage}, config.ResourceTransformers)
	for _, kind := range builtInKinds {
		store, status := storesOf(kind, getter)
		stores[kind.version][kind.plural] = store
		if status != nil {
			stores[kind.version][kind.plural+"/status"] = status
		}
	}
	for _, version := range versions {
		info := genericserver.NewDefaultAPIGroupInfo(version.Group, builtInScheme, builtInParameters, builtInCodecs)
		info.VersionedResourcesStorageMap[version.Version] = stores[version]
		if version.Group == "" {
			utilruntime.Must(server.InstallLegacyAPIGroup("/api", &info))
		} else {
			utilruntime.Must(server.InstallAPIGroup(&info))
		}
	}
	namespaces := stores[corev1.SchemeGroupVersion]["namespaces"].(rest.Creater)
	server.AddPostStartHookOrDie("initial-namespaces", func(hook genericserver.PostStartHookContext) error {
		return createNamespaces(hook.Context, namespaces)
	})
}

// A fresh cluster has these.
func createNamespaces(ctx context.Context, store rest.Creater) error {
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := store.Create(
			request.WithNamespace(ctx, ""), namespace, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}
