#!/bin/sh
# Writes the stubs from ../../protos into tamisv1, or into the folder given. Needs protoc, protoc-gen-go, protoc-gen-go-grpc.
set -eu
cd "$(dirname "$0")"
into=${1:-tamisv1}
protos=../../protos
files=$(cd "$protos" && ls tamis/v1/*.proto)
services=$(cd "$protos" && ls tamis/v1/*_service.proto)
# The protos name no package of any language, so that each client can choose its own.
packages=module=tamis.example/tamis/tamisv1
for file in $files; do packages="$packages,M$file=tamis.example/tamis/tamisv1"; done
# shellcheck disable=SC2086
(
  protoc -I "$protos" --go_out="$into" --go_opt="$packages" $files
  protoc -I "$protos" --go-grpc_out="$into" --go-grpc_opt="$packages" $services
)
