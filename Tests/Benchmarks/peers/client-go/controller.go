package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// controller has one worker on a rate limiting queue, the form of client-go's sample-controller.
type controller struct {
	indexer cache.Indexer
	queue   workqueue.TypedRateLimitingInterface[cache.ObjectName]
	// How long a reconcile of a burst waits, in place of a call to a cloud.
	wait time.Duration

	lock sync.Mutex
	// What the reconciles put in place: the desired state of each key as it was applied.
	applied map[cache.ObjectName]PodEndpointSpec
	runs    int
	// During a burst: what each key was last reconciled to, and when.
	inBurst bool
	reached map[cache.ObjectName]reached
}

type reached struct {
	round    int
	at       int64
	checksum uint64
}

func newController(indexer cache.Indexer, wait time.Duration) *controller {
	return &controller{
		indexer: indexer, wait: wait, applied: map[cache.ObjectName]PodEndpointSpec{},
		reached: map[cache.ObjectName]reached{},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]()),
	}
}

// follow enqueues what the informer tells, and starts the worker.
func (c *controller) follow(informer cache.SharedIndexInformer) error {
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    c.enqueue,
		UpdateFunc: func(_, object any) { c.enqueue(object) },
		DeleteFunc: c.enqueue,
	})
	go func() {
		for c.processNextItem() {
		}
	}()
	return err
}

func (c *controller) enqueue(object any) {
	name, err := cache.DeletionHandlingObjectToName(object)
	if err != nil {
		log.Fatal(err)
	}
	c.queue.Add(name)
}

func (c *controller) processNextItem() bool {
	name, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(name)
	if err := c.reconcile(context.Background(), name); err != nil {
		c.queue.AddRateLimited(name)
		return true
	}
	c.queue.Forget(name)
	return true
}

// reconcile compares what is desired of one object with what was applied, and applies it if they differ.
func (c *controller) reconcile(_ context.Context, name cache.ObjectName) error {
	object, exists, err := c.indexer.GetByKey(name.String())
	if err != nil {
		return err
	}
	c.lock.Lock()
	c.runs++
	if !exists {
		delete(c.applied, name)
		c.lock.Unlock()
		return nil
	}
	endpoint := object.(*PodEndpoint)
	if c.applied[name] != endpoint.Spec {
		c.applied[name] = endpoint.Spec
	}
	inBurst := c.inBurst
	c.lock.Unlock()
	if !inBurst {
		return nil
	}
	time.Sleep(c.wait)
	round, _ := strconv.Atoi(endpoint.Annotations[roundAnnotation])
	state := reached{round: round, at: monotonic(), checksum: checksum(endpoint)}
	c.lock.Lock()
	c.reached[name] = state
	c.lock.Unlock()
	return nil
}

func (c *controller) runCount() int {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.runs
}

// settle waits until the first list is reconciled.
func (c *controller) settle(count int) {
	for c.runCount() < count {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
}

// measureNoOps adds all keys at once, as a resync does, until all are reconciled, round by round; the median round
// counts.
func (c *controller) measureNoOps(keys []string) float64 {
	c.settle(len(keys))
	names := make([]cache.ObjectName, len(keys))
	for index, key := range keys {
		names[index] = must(cache.ParseObjectName(key))
	}
	var rates []float64
	for range 11 {
		before, began := c.runCount(), time.Now()
		for _, name := range names {
			c.queue.Add(name)
		}
		for c.runCount() < before+len(names) {
			time.Sleep(100 * time.Microsecond)
		}
		rates = append(rates, float64(len(names))/time.Since(began).Seconds())
	}
	slices.Sort(rates)
	return rates[len(rates)/2]
}

// measureBurst asks the server for a burst and waits until each key's last state is reconciled.
func (c *controller) measureBurst(server string, keys, rounds int, out *result) {
	c.settle(out.Objects)
	c.lock.Lock()
	c.inBurst, c.runs = true, 0
	c.lock.Unlock()
	var burst struct {
		Began    int64  `json:"began"`
		Checksum string `json:"checksum"`
	}
	answer := must(http.Post(fmt.Sprintf("%s/burst?keys=%d&rounds=%d", server, keys, rounds), "", nil))
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&burst); err != nil {
		log.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !c.isOver(keys, rounds) && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	// What would still run for nothing counts, too.
	time.Sleep(time.Second)
	c.lock.Lock()
	defer c.lock.Unlock()
	var latencies []float64
	var sum uint64
	for _, state := range c.reached {
		latencies = append(latencies, float64(state.at-burst.Began)/1e9)
		sum ^= state.checksum
	}
	slices.Sort(latencies)
	out.Keys, out.Runs, out.ExpectedChecksum = len(c.reached), c.runs, burst.Checksum
	out.Checksum = strconv.FormatUint(sum, 16)
	out.LatencyP50, out.LatencyP99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
}

func (c *controller) isOver(keys, rounds int) bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	done := 0
	for _, state := range c.reached {
		if state.round == rounds {
			done++
		}
	}
	return done == keys
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// Nanoseconds of CLOCK_MONOTONIC, which is the same for all processes of the machine.
func monotonic() int64 {
	const clockMonotonic = 1
	var time syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&time)), 0)
	return time.Nano()
}
