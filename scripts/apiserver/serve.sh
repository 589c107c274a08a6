# shellcheck shell=bash
# Starts etcd and an API server on loopback for as long as a command runs. Sourced by test-apiserver.sh.

# Prints a port that nothing on this machine listens on.
free_port() {
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    ss -ltnH "sport = :$port" | grep -q . || { echo "$port"; return; }
  done
  fail "no free port between 20000 and 31999"
}

# make_certificates FOLDER: an authority and a certificate of 127.0.0.1, both for two days.
make_certificates() {
  (
    cd "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test-authority \
      -keyout authority.key -out authority.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr
    printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >extensions
    openssl x509 -req -days 2 -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial \
      -extfile extensions -out server.pem
  ) >"$1/openssl.log" 2>&1 || { cat "$1/openssl.log" >&2; fail "openssl failed"; }
}

# Each of these starts a server of serve's, in the background: serve's $entry, $folder, $etcd_port and $port.

start_etcd() {
  local peer
  peer=http://127.0.0.1:$(free_port)
  # Without fsync: what a test stores need not survive the machine.
  "$entry/etcd" --name test --data-dir "$folder/etcd" --unsafe-no-fsync --log-level error \
    --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "test=$peer" \
    >"$folder/etcd.log" 2>&1 </dev/null &
  pids+=($!)
}

start_library_server() {
  "$entry/library-server" -etcd "http://127.0.0.1:$etcd_port" -port "$port" -certificate "$folder/server.pem" \
    -key "$folder/server.key" -tokens "$folder/tokens.csv" >"$folder/server.log" 2>&1 </dev/null &
  pids+=($!)
}

start_kube_apiserver() {
  # Pods need no ServiceAccount, which a controller would have to make first.
  "$entry/kube-apiserver" --etcd-servers="http://127.0.0.1:$etcd_port" --bind-address=127.0.0.1 \
    --advertise-address=127.0.0.1 --secure-port="$port" --insecure-port=0 --endpoint-reconciler-type=none \
    --tls-cert-file="$folder/server.pem" --tls-private-key-file="$folder/server.key" \
    --token-auth-file="$folder/tokens.csv" --authorization-mode=RBAC \
    --service-account-issuer=https://kubernetes.default.svc --service-account-signing-key-file="$folder/server.key" \
    --service-account-key-file="$folder/server.pem" --service-cluster-ip-range=10.96.0.0/16 --allow-privileged \
    --disable-admission-plugins=ServiceAccount >"$folder/server.log" 2>&1 </dev/null &
  pids+=($!)
}

# Kubernetes' own garbage collection and deletion of namespaces. The other controllers would act on pods and nodes that
# tests only describe.
start_controllers() {
  printf '%s\n' 'apiVersion: v1' 'kind: Config' 'current-context: test' \
    "clusters: [{name: test, cluster: {server: 'https://127.0.0.1:$port', certificate-authority: $folder/authority.pem}}]" \
    "users: [{name: test, user: {token: $EGRESS_APISERVER_TOKEN}}]" \
    'contexts: [{name: test, context: {cluster: test, user: test}}]' >"$folder/kubeconfig"
  "$entry/kube-controller-manager" --kubeconfig="$folder/kubeconfig" --port=0 --secure-port=0 --leader-elect=false \
    --controllers=garbagecollector,namespace >"$folder/controllers.log" 2>&1 </dev/null &
  pids+=($!)
}

is_ready() {
  [ "$(curl -s --max-time 5 --cacert "$EGRESS_APISERVER_CA" -H "Authorization: Bearer $EGRESS_APISERVER_TOKEN" \
    "https://127.0.0.1:$port/readyz" || true)" = ok ]
}

# serve SERVER ENTRY COMMAND...: its status is the command's.
serve() (
  local server=$1 entry=$2 folder etcd_port port server_pid pids=()
  shift 2
  folder=$(mktemp -d)
  trap '[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
        wait || true
        rm -rf "$folder"' EXIT
  make_certificates "$folder"
  etcd_port=$(free_port) port=$(free_port)
  EGRESS_APISERVER_TOKEN=$(openssl rand -hex 24)
  echo "$EGRESS_APISERVER_TOKEN,admin,admin,system:masters" >"$folder/tokens.csv"
  export EGRESS_APISERVER_TOKEN EGRESS_APISERVER_PORT=$port EGRESS_APISERVER_CA=$folder/authority.pem
  EGRESS_APISERVER_VERSION=$(cat "$entry/version")
  export EGRESS_APISERVER_VERSION EGRESS_APISERVER_PROGRAM=$server
  start_etcd
  "start_${server//-/_}"
  server_pid=${pids[-1]}
  for _ in $(seq 300); do
    kill -0 "$server_pid" 2>/dev/null || { tail -n 20 "$folder/server.log" >&2; fail "$server ended"; }
    if is_ready; then
      [ ! -x "$entry/kube-controller-manager" ] || start_controllers
      "$@"
      return
    fi
    sleep 0.2
  done
  tail -n 20 "$folder/server.log" >&2
  fail "$server was not ready after a minute"
)
