// client-go-peer does with client-go what the other side of the benchmark does with this project's libraries: follow
// PodEndpoints by an informer, and reconcile them from a work queue with one worker. It is written as client-go's
// sample-controller is, with typed objects, and drops managed fields before they are stored.
//
// usage: client-go-peer -server URL -job cold|no-op|burst
//
// Without a module file Go would behave as its version 1.20 did, so the version is named here.
//
//go:debug default=go1.24
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"
)

const roundAnnotation = "bench.egress-gateway/round"

// What the driver reads; the other side writes the same.
type result struct {
	SyncedAt         int64   `json:"syncedAt"`
	Objects          int     `json:"objects"`
	Checksum         string  `json:"checksum"`
	PeakKiB          int     `json:"peakKiB"`
	SettledKiB       int     `json:"settledKiB"`
	ReconcilesPerSec float64 `json:"reconcilesPerSecond"`
	ExpectedChecksum string  `json:"expectedChecksum"`
	Runs             int     `json:"runs"`
	Keys             int     `json:"keys"`
	LatencyP50       float64 `json:"latencyP50"`
	LatencyP99       float64 `json:"latencyP99"`
}

func main() {
	server := flag.String("server", "", "address of the load server")
	job := flag.String("job", "cold", "cold, no-op or burst")
	keys := flag.Int("keys", 1000, "burst: how many objects change")
	rounds := flag.Int("rounds", 10, "burst: how often each of them changes")
	wait := flag.Duration("wait", time.Millisecond, "burst: how long one reconcile waits")
	flag.Parse()
	client, err := newClient(*server)
	if err != nil {
		log.Fatal(err)
	}
	informer := cache.NewSharedIndexInformerWithOptions(
		cache.ToListWatcherWithWatchListSemantics(
			cache.NewListWatchFromClient(client, "podendpoints", "", fields.Everything()), client),
		&PodEndpoint{}, cache.SharedIndexInformerOptions{Indexers: cache.Indexers{
			cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
		}})
	if err := informer.SetTransform(dropManagedFields); err != nil {
		log.Fatal(err)
	}
	controller := newController(informer.GetIndexer(), *wait)
	if *job != "cold" {
		if err := controller.follow(informer); err != nil {
			log.Fatal(err)
		}
	}
	ctx := context.Background()
	go informer.RunWithContext(ctx)
	if !cache.WaitFor(ctx, "", informer.HasSyncedChecker()) {
		log.Fatal("not synced")
	}
	out := result{SyncedAt: monotonic()}
	if *job == "cold" {
		time.Sleep(2 * time.Second)
		// Before the benchmark itself needs memory for a sum over all objects.
		out.PeakKiB, out.SettledKiB = memory("VmHWM:"), memory("VmRSS:")
	}
	out.Objects, out.Checksum = summarize(informer.GetIndexer())
	switch *job {
	case "no-op":
		out.ReconcilesPerSec = controller.measureNoOps(informer.GetIndexer().ListKeys())
	case "burst":
		controller.measureBurst(*server, *keys, *rounds, &out)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		log.Fatal(err)
	}
}

func dropManagedFields(object any) (any, error) {
	accessor, err := meta.Accessor(object)
	if err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

// summarize counts the objects and joins their checksums.
func summarize(store cache.Store) (int, string) {
	objects := store.List()
	var sum uint64
	for _, object := range objects {
		sum ^= checksum(object.(*PodEndpoint))
	}
	return len(objects), strconv.FormatUint(sum, 16)
}

func checksum(endpoint *PodEndpoint) uint64 {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s/%s %s %s %s", endpoint.Namespace, endpoint.Name, endpoint.Spec.PodIpAddress,
		endpoint.Spec.PodPublicKey, endpoint.Annotations[roundAnnotation])
	return hash.Sum64()
}

// memory reads a line of /proc/self/status, in KiB (proc(5)).
func memory(line string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		log.Fatal(err)
	}
	words := strings.Fields(string(text))
	for index, word := range words {
		if word == line {
			value, _ := strconv.Atoi(words[index+1])
			return value
		}
	}
	log.Fatalf("/proc/self/status has no %s", line)
	return 0
}
