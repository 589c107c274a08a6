// load-server serves PodEndpoints from memory as a Kubernetes API server would, to both sides of the benchmark alike.
//
// Every answer is rendered before the first client comes, so that the server's own work is a copy to the socket. It
// knows pages, whole lists (resourceVersion=0, as an API server's watch cache answers them), streaming lists and
// watches; POST /burst sends updates to all watches. There is neither authentication nor TLS: it listens on loopback.
//
// Without a module file Go would behave as its version 1.20 did, so the version is named here.
//
//go:debug default=go1.24
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const collection = "/apis/egressgateway.kubernetes.azure.com/v1alpha1/podendpoints"

type server struct {
	objects []object
	streams bool

	lock     sync.Mutex
	watches  map[chan []byte]struct{}
	revision int
}

func main() {
	count := flag.Int("objects", 50_000, "how many PodEndpoints there are")
	streams := flag.Bool("stream", true, "offer streaming lists (Kubernetes 1.32 and later)")
	flag.Parse()
	s := &server{streams: *streams, watches: map[chan []byte]struct{}{}, revision: firstRevision + *count}
	for index := range *count {
		s.objects = append(s.objects, render(index))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", s.version)
	mux.HandleFunc("GET "+collection, s.podEndpoints)
	mux.HandleFunc("POST /burst", s.burst)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\": %d, \"checksum\": \"%x\"}\n", listener.Addr().(*net.TCPAddr).Port, s.checksum())
	log.Fatal(http.Serve(listener, mux))
}

// The sum of all objects as they are before any burst; clients compute it from what they decoded.
func (s *server) checksum() uint64 {
	var sum uint64
	for _, object := range s.objects {
		sum ^= object.checksum(0)
	}
	return sum
}

func (s *server) version(w http.ResponseWriter, _ *http.Request) {
	minor := "31"
	if s.streams {
		minor = "36"
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"major":"1","minor":"%s","gitVersion":"v1.%s.0","platform":"linux/amd64"}`, minor, minor)
}

func (s *server) podEndpoints(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case query.Get("watch") == "":
		s.list(w, query.Get("limit"), query.Get("continue"), query.Get("resourceVersion"))
	case query.Get("sendInitialEvents") == "true" && !s.streams:
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Invalid","code":422,`+
			`"message":"sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"}`)
	default:
		s.watch(w, r, query.Get("sendInitialEvents") == "true")
	}
}

func (s *server) list(w http.ResponseWriter, limit, token, version string) {
	begin, _ := strconv.Atoi(token)
	end := len(s.objects)
	// An API server's watch cache gives the whole list, whatever the limit, to who asks for any version.
	if size, _ := strconv.Atoi(limit); size > 0 && version != "0" {
		end = min(begin+size, end)
	}
	next := ""
	if end < len(s.objects) {
		next = fmt.Sprintf(`,"continue":"%d","remainingItemCount":%d`, end, len(s.objects)-end)
	}
	fmt.Fprintf(w, `{"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1","items":[`)
	for index, object := range s.objects[begin:end] {
		if index > 0 {
			w.Write([]byte(","))
		}
		w.Write(object.text)
	}
	fmt.Fprintf(w, `],"kind":"PodEndpointList","metadata":{"resourceVersion":"%d"%s}}`+"\n", s.now(), next)
}

func (s *server) watch(w http.ResponseWriter, r *http.Request, initial bool) {
	flusher := http.NewResponseController(w)
	lines := make(chan []byte, 16)
	s.lock.Lock()
	s.watches[lines] = struct{}{}
	s.lock.Unlock()
	defer func() {
		s.lock.Lock()
		delete(s.watches, lines)
		s.lock.Unlock()
	}()
	if initial {
		for _, object := range s.objects {
			w.Write([]byte(`{"type":"ADDED","object":`))
			w.Write(object.text)
			w.Write([]byte("}\n"))
		}
		w.Write(bookmark(s.now(), `"annotations":{"k8s.io/initial-events-end":"true"},`))
	}
	flusher.Flush()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case text := <-lines:
			if _, err := w.Write(text); err != nil {
				return
			}
		case <-minute.C:
			w.Write(bookmark(s.now(), ""))
		case <-r.Context().Done():
			return
		}
		flusher.Flush()
	}
}

func (s *server) now() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.revision
}

// burst changes the first `keys` objects `rounds` times, in turns, all at once. The answer names the moment it began
// on the machine's monotonic clock, and the sum over the last states.
func (s *server) burst(w http.ResponseWriter, r *http.Request) {
	keys, _ := strconv.Atoi(r.URL.Query().Get("keys"))
	rounds, _ := strconv.Atoi(r.URL.Query().Get("rounds"))
	s.lock.Lock()
	defer s.lock.Unlock()
	var text []byte
	var sum uint64
	for round := 1; round <= rounds; round++ {
		for index := range min(keys, len(s.objects)) {
			s.revision++
			object := renderState(index, round, s.revision)
			if round == rounds {
				sum ^= object.checksum(round)
			}
			text = append(text, `{"type":"MODIFIED","object":`...)
			text = append(text, object.text...)
			text = append(text, "}\n"...)
		}
	}
	began := monotonic()
	for lines := range s.watches {
		lines <- text
	}
	fmt.Fprintf(w, `{"began": %d, "checksum": "%x", "watches": %d}`+"\n", began, sum, len(s.watches))
}
