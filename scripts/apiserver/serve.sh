# shellcheck shell=bash
# Starts etcd and library-server on loopback for as long as a command runs. Sourced by test-apiserver.sh, which sets
# $entry.

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

# serve COMMAND...: its status is the command's.
serve() (
  local folder etcd_port peer_port port etcd_pid server_pid
  folder=$(mktemp -d)
  # Unset until the daemon runs.
  etcd_pid='' server_pid=''
  trap '[ -z "$server_pid" ] || kill "$server_pid" || true
        [ -z "$etcd_pid" ] || kill "$etcd_pid" || true
        wait || true
        rm -rf "$folder"' EXIT
  make_certificates "$folder"
  etcd_port=$(free_port) peer_port=$(free_port) port=$(free_port)
  # Without fsync: what a test stores need not survive the machine.
  "$entry/etcd" --name test --data-dir "$folder/etcd" --unsafe-no-fsync --log-level error \
    --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "http://127.0.0.1:$peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" \
    --initial-cluster "test=http://127.0.0.1:$peer_port" >"$folder/etcd.log" 2>&1 </dev/null &
  etcd_pid=$!
  EGRESS_APISERVER_TOKEN=$(openssl rand -hex 24)
  echo "$EGRESS_APISERVER_TOKEN,admin,admin,system:masters" >"$folder/tokens.csv"
  "$entry/library-server" -etcd "http://127.0.0.1:$etcd_port" -port "$port" -certificate "$folder/server.pem" \
    -key "$folder/server.key" -tokens "$folder/tokens.csv" >"$folder/server.log" 2>&1 </dev/null &
  server_pid=$!
  export EGRESS_APISERVER_TOKEN EGRESS_APISERVER_PORT=$port EGRESS_APISERVER_CA=$folder/authority.pem
  for _ in $(seq 300); do
    kill -0 "$server_pid" 2>/dev/null || { tail -n 20 "$folder/server.log" >&2; fail "library-server ended"; }
    if [ "$(curl -s --max-time 5 --cacert "$EGRESS_APISERVER_CA" -H "Authorization: Bearer $EGRESS_APISERVER_TOKEN" \
      "https://127.0.0.1:$port/readyz" || true)" = ok ]; then
      "$@"
      return
    fi
    sleep 0.2
  done
  tail -n 20 "$folder/server.log" >&2
  fail "library-server was not ready after a minute"
)
