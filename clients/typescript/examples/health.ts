/** `grpc.health.v1` for one service, until it stops. */

import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { type Health, HealthCheckResponse_ServingStatus as Status } from "./gen/grpc_health/v1/health_pb.js";

/** SERVING for `service`, and for the whole under the empty name; NOT_SERVING once `stopping` is aborted. */
export function health(service: string, stopping: AbortSignal): Partial<ServiceImpl<typeof Health>> {
  const status = () => (stopping.aborted ? Status.NOT_SERVING : Status.SERVING);
  const isKnown = (name: string) => name === "" || name === service;
  return {
    check(request) {
      if (!isKnown(request.service)) throw new ConnectError(`no service ${request.service}`, Code.NotFound);
      return { status: status() };
    },
    async *watch(request, { signal }) {
      yield { status: isKnown(request.service) ? status() : Status.SERVICE_UNKNOWN };
      if (stopping.aborted) return;
      await new Promise((end) => {
        for (const each of [stopping, signal]) each.addEventListener("abort", end, { once: true });
      });
      if (!signal.aborted && isKnown(request.service)) yield { status: status() };
    },
  };
}
