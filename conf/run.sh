#!/bin/sh
#
# Both planes and a demo on this machine: what "make run" and "make stop" call.
#
#   conf/run.sh         starts everything in var/ and stays; Ctrl-C ends it
#   conf/run.sh stop    ends what an earlier run left behind
#
# Environment: STOA_PORT (8080), STOA_CONTROL_PORT (8400), STOA_ECHO_PORT
# (8500), STOA_ADDRESS (127.0.0.1), STOA_VAR (var), OBJS (objs), STOA_NGINX
# (nginx).
#
# stoa-control may be killed: the gateway goes on, and it is started again.
# Keeps what it made: a second run starts from the same database, store and
# key.  "rm -r var" is a new start.

set -eu
umask 077

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
objs=${OBJS:-objs}
var=${STOA_VAR:-$root/var}
port=${STOA_PORT:-8080}
control_port=${STOA_CONTROL_PORT:-8400}
echo_port=${STOA_ECHO_PORT:-8500}
address=${STOA_ADDRESS:-127.0.0.1}
nginx=${STOA_NGINX:-$(command -v nginx || echo /usr/sbin/nginx)}

case $objs in /*) ;; *) objs=$root/$objs ;; esac
case $var in /*) ;; *) var=$root/$var ;; esac

control=$var/control
gateway=$var/gateway
echo=$var/echo
control_url=http://127.0.0.1:$control_port
gateway_url=http://$address:$port
echo_url=http://127.0.0.1:$echo_port
control_pid=
nginx_pid=
echo_pid=


say() { echo "stoa: $*"; }

die() {
    echo "stoa: $*" >&2
    exit 1
}


# Processes whose working folder is below ours and whose program is ours: also
# orphaned workers of an nginx that was killed, which no pid file knows.

ours() {
    for proc in /proc/[0-9]*; do
        cwd=$(readlink "$proc/cwd" 2>/dev/null) || continue
        case $cwd in
        "$control" | "$gateway" | "$echo") ;;
        *) continue ;;
        esac
        exe=$(readlink "$proc/exe" 2>/dev/null) || continue
        exe=${exe% (deleted)}
        case ${exe##*/} in
        nginx | stoa-control | perl*) echo "${proc##*/}" ;;
        esac
    done
}


# end SIGNAL SECONDS PID...: gracefully, then by force.

end() {
    signal=$1 limit=$(($2 * 10))
    shift 2
    [ $# -gt 0 ] || return 0
    kill "-$signal" "$@" 2>/dev/null || :

    n=0
    while [ $n -lt $limit ]; do
        alive=
        for pid in "$@"; do
            ! kill -0 "$pid" 2>/dev/null || alive="$alive $pid"
        done
        [ -n "$alive" ] || return 0
        n=$((n + 1))
        sleep 0.1
    done
    # shellcheck disable=SC2086
    kill -KILL $alive 2>/dev/null || :
}

end_leftovers() {
    left=$(ours)
    [ -n "$left" ] || return 0
    # shellcheck disable=SC2086
    say "ending what an earlier run left:" $left
    # shellcheck disable=SC2086
    end TERM 10 $left
}


# Is a run.sh of this folder alive?  Its pid file may be stale, and the number
# taken by another program: only the folder it holds in its name counts.

running() {
    pid=$(cat "$var/run.pid" 2>/dev/null) || return 1
    case $pid in
    '' | *[!0-9]* | "$$") return 1 ;;
    esac
    kill -0 "$pid" 2>/dev/null || return 1
    tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null \
        | grep -q 'conf/run\.sh' || return 1
    [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$var" ]
}


# shellcheck disable=SC2317  # it is the EXIT trap
finish() {
    code=$?
    trap - EXIT
    trap '' HUP INT TERM
    [ -z "$nginx_pid" ] || end QUIT 10 "$nginx_pid"
    # shellcheck disable=SC2086
    end TERM 10 $control_pid $echo_pid
    left=$(ours)
    # shellcheck disable=SC2086
    [ -z "$left" ] || end KILL 5 $left
    rm -f "$var/run.pid"
    exit "$code"
}


# until_ok SECONDS WHAT LOG COMMAND...: polls; gives up early when a process
# of ours died, and then shows the end of its log.

until_ok() {
    limit=$(($1 * 10)) what=$2 log=$3
    shift 3
    n=0
    until "$@" >/dev/null 2>&1; do
        n=$((n + 1))
        for pid in $control_pid $nginx_pid $echo_pid; do
            kill -0 "$pid" 2>/dev/null || n=$limit
        done
        if [ "$n" -ge "$limit" ]; then
            tail -n 15 "$log" >&2 || :
            die "$what is not ready, see $log"
        fi
        sleep 0.1
    done
}

# (a trap runs when a wait ends, not when a sleep does)

pause() {
    sleep "$1" &
    wait $! || :
}

fetch() { curl -sS -f --noproxy '*' -o /dev/null -m 5 "$@"; }

ctl() { "$objs/stoactl" "$@"; }

# free URL VARIABLE: nothing may answer there but what we start.  7 is curl's
# word for a refused connection.

free() {
    code=0
    curl -s --noproxy '*' -o /dev/null -m 2 "$1" || code=$?
    [ $code -eq 7 ] || die "something else listens at $1;" \
                           "$2 chooses another port"
}


# What the demo publishes: conf/echo.pl.

start_echo() {
    mkdir -p "$echo"
    (
        cd "$echo"
        exec perl "$root/conf/echo.pl" "127.0.0.1:$echo_port" > log 2>&1
    ) &
    echo_pid=$!
    until_ok 10 'the echo server' "$echo/log" fetch "$echo_url/"
}


run_control() {
    (
        cd "$control"
        exec "$objs/stoa-control" --listen="127.0.0.1:$control_port" \
            --database="sqlite:$control/stoa.db" \
            --admin-token-file="$control/admin.token" \
            --outbound-allow=loopback --log-level=info >> log 2>&1
    ) &
    control_pid=$!

    until_ok 20 stoa-control "$control/log" fetch "$control_url/health/ready"
}


start_control() {
    mkdir -p "$control"
    : >> "$control/log"
    chmod 700 "$var" "$control"

    # a new database makes old tokens worthless
    if [ ! -s "$control/stoa.db" ]; then
        rm -f "$control/admin.token" "$gateway/token" "$var/demo.env"
    fi

    run_control
    [ -s "$control/admin.token" ] \
        || die "$control/admin.token is gone: \"rm -r $var\" starts anew"

    STOA_URL=$control_url
    STOA_TOKEN=$(cat "$control/admin.token")
    STOA_CONFIG=$var/stoactl.yaml
    export STOA_URL STOA_TOKEN STOA_CONFIG
}


# nginx.conf is conf/stoa.conf with this run's paths and ports.

start_gateway() {
    mkdir -p "$gateway/logs" "$gateway/tmp"
    chmod 700 "$gateway"

    if [ ! -s "$gateway/token" ]; then
        ctl apply - > "$var/apply.log" << 'END'
apiVersion: stoa/v1
kind: GatewayGroup
metadata:
  name: default
spec:
  title: Default
END
        ctl gateway delete demo >/dev/null 2>&1 || :
        ctl gateway create demo --group default \
            --output-file "$gateway/token" >/dev/null
    fi

    resolver=$(awk '$1 == "nameserver" {
            if (index($2, ":")) { $2 = "[" $2 "]" }
            printf " %s", $2
        }' /etc/resolv.conf 2>/dev/null | sed 's/%[^] ]*//g') || :

    sed -e "s|^load_module .*|load_module $objs/ngx_http_stoa_module.so;|" \
        -e "s|listen 8080;|listen $address:$port;|" \
        -e "s|http://127.0.0.1:8400|$control_url|" \
        -e "s|# stoa_upstream_allow|stoa_upstream_allow|" \
        ${resolver:+-e "s|# resolver .*;|resolver$resolver;|"} \
        "$root/conf/stoa.conf" > "$gateway/nginx.conf"

    main='daemon off;'
    [ "$(id -u)" -ne 0 ] || main="$main user root;"

    "$nginx" -t -q -p "$gateway/" -c nginx.conf -e logs/error.log \
        -g "$main" || die "nginx refuses $gateway/nginx.conf"
    (
        cd "$gateway"
        exec "$nginx" -p "$gateway/" -c nginx.conf -e logs/error.log \
            -g "$main" >> logs/out 2>&1
    ) &
    nginx_pid=$!
}


load_demo() {
    sed -e "s|http://127.0.0.1:8400|$control_url|" \
        -e "s|http://127.0.0.1:8500|$echo_url|" "$root/conf/demo.yaml" \
        > "$var/demo.yaml"
    ctl apply "$var/demo.yaml" --wait 10s > "$var/apply.log" 2>&1 || {
        cat "$var/apply.log" >&2
        die "conf/demo.yaml was not applied"
    }
    for api in demo tools; do
        ctl wait api $api --tenant acme --for discovered --timeout 20s \
            > "$var/apply.log" 2>&1 || {
            cat "$var/apply.log" >&2
            die "the tools of the demo were not discovered"
        }
    done
    ctl wait gateway demo --for in-sync --timeout 20s \
        > "$var/apply.log" 2>&1 || {
        cat "$var/apply.log" "$gateway/logs/error.log" >&2
        die "the gateway did not get its configuration"
    }
    until_ok 20 'the gateway' "$gateway/logs/error.log" \
        fetch "$gateway_url/stoa/ready"

    # the key of an earlier run, as long as it works
    key=$(sed -n "s/^DEMO_KEY='\{0,1\}\([^']*\)'\{0,1\}\$/\1/p" \
          "$var/demo.env" 2>/dev/null) || key=
    if [ -n "$key" ]; then
        printf 'header = "X-API-Key: %s"\n' "$key" > "$var/key.curl"
        fetch -K "$var/key.curl" "$rest_url/health" 2>/dev/null || key=
        rm -f "$var/key.curl"
    fi
    if [ -z "$key" ]; then
        key=$(ctl key create demo --tenant acme -o key)
        printf 'header = "X-API-Key: %s"\n' "$key" > "$var/key.curl"
        until_ok 10 'the key' "$gateway/logs/error.log" \
            fetch -K "$var/key.curl" "$rest_url/health"
        rm -f "$var/key.curl"
    fi
}


tell() {
    cat > "$var/demo.env" << END
GATEWAY_URL='$gateway_url'
CONTROL_URL='$control_url'
ADMIN_TOKEN='$STOA_TOKEN'
STOA_URL='$control_url'
STOA_TOKEN='$STOA_TOKEN'
DEMO_KEY='$key'
MCP_URL='$mcp_url'
REST_URL='$rest_url'
END

    cat << END

STOA is running.  Ctrl-C ends it.

  gateway         $gateway_url    (nginx, $gateway)
  control plane   $control_url    (stoa-control, $control)
  these names     . $var/demo.env

With the key, through the gateway, a REST API and an MCP server:

  curl -H 'X-API-Key: $key' '$rest_url/hello?name=world'

  curl -H 'X-API-Key: $key' \\
    -H 'Content-Type: application/json' \\
    -H 'Accept: application/json, text/event-stream' \\
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' \\
    -d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{
         "io.modelcontextprotocol/protocolVersion":"2026-07-28",
         "io.modelcontextprotocol/clientCapabilities":{}}}}' \\
    $mcp_url

  curl -H 'X-API-Key: $key' \\
    -H 'Content-Type: application/json' \\
    -H 'Accept: application/json, text/event-stream' \\
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' \\
    -H 'Mcp-Name: demo__add' \\
    -d '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{
         "name":"demo__add","arguments":{"a":2,"b":40},"_meta":{
         "io.modelcontextprotocol/protocolVersion":"2026-07-28",
         "io.modelcontextprotocol/clientCapabilities":{}}}}' \\
    $mcp_url

Without it, 401:

  curl -i $rest_url/hello

The control plane:

  curl -H 'Authorization: Bearer $STOA_TOKEN' \\
    $control_url/v1/tenants

  STOA_URL=$control_url STOA_TOKEN=\$(cat $control/admin.token) \\
    $objs/stoactl gateway status

The gateway needs no control plane to go on: kill it, call again; it is
started again after 10 seconds.

  kill -9 $control_pid

END
}


case ${1:-start} in
start) ;;
stop)
    if running; then
        pid=$(cat "$var/run.pid")
        say "ending the run of process $pid"
        end TERM 30 "$pid"
    fi
    end_leftovers
    rm -f "$var/run.pid"
    exit 0
    ;;
*)
    die "usage: conf/run.sh [start|stop]"
    ;;
esac

for file in stoa-control stoactl ngx_http_stoa_module.so; do
    [ -e "$objs/$file" ] || die "$objs/$file is missing: run make first"
done
command -v perl >/dev/null 2>&1 || die "perl is needed (Debian: perl)"
command -v curl >/dev/null 2>&1 || die "curl is needed (Debian: curl)"
[ -x "$nginx" ] || die "no nginx at \"$nginx\" (Debian: nginx)"

mkdir -p "$var"
var=$(CDPATH='' cd -- "$var" && pwd -P)
control=$var/control
gateway=$var/gateway
echo=$var/echo
cd "$var"

! running || die "already running as process $(cat "$var/run.pid");" \
                 "\"make stop\" ends it"
end_leftovers
echo $$ > "$var/run.pid"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

mcp_url=$gateway_url/mcp/acme
rest_url=$gateway_url/apis/acme/echo

free "$control_url" STOA_CONTROL_PORT
free "$gateway_url" STOA_PORT
free "$echo_url" STOA_ECHO_PORT

start_echo
start_control
start_gateway
load_demo
tell

# without the gateway it is over
while kill -0 "$nginx_pid" 2>/dev/null; do
    kill -0 "$control_pid" 2>/dev/null || {
        say 'stoa-control ended; the gateway goes on'
        pause 10
        run_control
        say "stoa-control is back as process $control_pid"
    }
    kill -0 "$echo_pid" 2>/dev/null || start_echo
    pause 1
done

tail -n 15 "$gateway/logs/error.log" >&2
die "nginx ended"
