package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"syscall"
	"unsafe"
)

// The version of the object before the first one.
const firstRevision = 1_000_000

// An object in its JSON form, and what the checksum is made of.
type object struct {
	text                     []byte
	namespace, name, address string
	publicKey                string
}

// The checksum of one object; those of a store are joined by exclusive or. The round is what a burst wrote last.
func (o object) checksum(round int) uint64 {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s/%s %s %s %d", o.namespace, o.name, o.address, o.publicKey, round)
	return hash.Sum64()
}

func render(index int) object { return renderState(index, 0, firstRevision+index+1) }

// An object as the node role makes it and an API server stores it: controlled by its pod, with the managed fields of
// its one writer. What changes in a burst is an annotation.
func renderState(index, round, revision int) object {
	key := make([]byte, 32)
	for word := range 4 {
		binary.BigEndian.PutUint64(key[word*8:], uint64(index+1)*0x9E3779B97F4A7C15+uint64(word))
	}
	o := object{
		namespace: fmt.Sprintf("team-%03d", index%100),
		name:      fmt.Sprintf("worker-%d-7c9d8f6b54-%05d", index/1000, index),
		address:   fmt.Sprintf("10.%d.%d.%d/32", 64+index>>16, index>>8&255, index&255),
		publicKey: base64.StdEncoding.EncodeToString(key),
	}
	o.text = fmt.Appendf(nil, `{"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1","kind":"PodEndpoint",`+
		`"metadata":{"annotations":{"bench.egress-gateway/round":"%d"},"creationTimestamp":"2026-11-23T10:%02d:%02dZ",`+
		`"generation":1,"labels":{"app":"worker-%d"},"managedFields":[{"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1",`+
		`"fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:bench.egress-gateway/round":{}},`+
		`"f:labels":{".":{},"f:app":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"%s\"}":{}}},"f:spec":{".":{},`+
		`"f:podIpAddress":{},"f:podPublicKey":{},"f:staticGatewayConfiguration":{}}},"manager":"egress-gateway",`+
		`"operation":"Update","time":"2026-11-23T10:%02d:%02dZ"}],"name":"%s","namespace":"%s","ownerReferences":[{`+
		`"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Pod","name":"%s","uid":"%s"}],`+
		`"resourceVersion":"%d","uid":"%s"},"spec":{"podIpAddress":"%s","podPublicKey":"%s",`+
		`"staticGatewayConfiguration":"partner-%d"}}`,
		round, index/60%60, index%60, index/1000, uid(index, 1), index/60%60, index%60, o.name, o.namespace, o.name,
		uid(index, 1), revision, uid(index, 2), o.address, o.publicKey, index%10)
	return o
}

func uid(index, kind int) string {
	return fmt.Sprintf("%08x-%04x-4b1d-9c3e-%012x", uint32(index)*2654435761, kind, index)
}

func bookmark(revision int, annotations string) []byte {
	return fmt.Appendf(nil, `{"type":"BOOKMARK","object":{"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1",`+
		`"kind":"PodEndpoint","metadata":{%s"creationTimestamp":null,"resourceVersion":"%d"},"spec":{}}}`+"\n",
		annotations, revision)
}

// Nanoseconds of CLOCK_MONOTONIC, which is the same for all processes of the machine.
func monotonic() int64 {
	const clockMonotonic = 1
	var time syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&time)), 0)
	return time.Nano()
}
