#!/bin/bash
# Builds the Kubernetes server binaries from Debian's source package.
#
# usage: build_kubernetes.sh ARCHIVE VERSION TOOLS OUT
#   ARCHIVE  the upstream archive of the source package `kubernetes`
#   VERSION  its version, 1.20.2
#   TOOLS    a directory that Debian packages were unpacked into: go, reflect2, make, rsync, jq
#   OUT      receives the binaries
set -euo pipefail
archive=$1 version=$2 tools=$3 out=$4

work=$(mktemp -d "${TMPDIR:-/tmp}/hpo-stand-build.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

export GOROOT=$tools/usr/lib/go-1.19
export PATH=$GOROOT/bin:$PATH:$tools/usr/bin
libraries=("$tools"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH=${libraries[0]}

# Its module mode does not build with Go 1.19; GOPATH mode does.
export GOPATH=$work/go GOCACHE=$work/cache GO111MODULE=off GOFLAGS=
tree=$GOPATH/src/k8s.io/kubernetes
mkdir -p "$tree"
tar -xf "$archive" -C "$tree" --strip-components=1

# The vendored reflect2 1.0.1 reads the runtime's map iterator as it was before Go 1.18: the API server
# then dies with SIGSEGV in mapiternext at the first custom resource. Debian's 1.0.2 mends that.
vendored=$tree/vendor/github.com/modern-go/reflect2
rm -f "$vendored"/*.go "$vendored"/*.s
cp "$tools"/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "$vendored"
rm -f "$vendored"/*_test.go

# Without a git checkout the version comes from a file.
cat >"$work/version" <<EOF
KUBE_GIT_COMMIT='debian'
KUBE_GIT_TREE_STATE='archive'
KUBE_GIT_VERSION='v$version'
KUBE_GIT_MAJOR='${version%%.*}'
KUBE_GIT_MINOR='$(cut -d. -f2 <<<"$version")'
EOF

# `make` and not `go build`: the tree lacks its generated files.
cd "$tree"
CGO_ENABLED=0 KUBE_GIT_VERSION_FILE=$work/version make \
  WHAT="cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet cmd/kube-proxy"
cp _output/local/go/bin/kube{-apiserver,-controller-manager,-scheduler,let,-proxy} "$out"
