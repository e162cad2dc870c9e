// Types of the parts of the metrics library that are loaded one by one. Its index loads a tracing library and a push
// client as well, which nobody here uses: 25 ms of a start and 8 MiB.

declare module 'prom-client/lib/counter.js' {
  export { Counter as default } from 'prom-client';
}

declare module 'prom-client/lib/gauge.js' {
  export { Gauge as default } from 'prom-client';
}

declare module 'prom-client/lib/histogram.js' {
  export { Histogram as default } from 'prom-client';
}

declare module 'prom-client/lib/registry.js' {
  export { Registry as default } from 'prom-client';
}

declare module 'prom-client/lib/metrics/*.js' {
  import type { Registry } from 'prom-client';

  export default function collect(
    registry: Registry,
    options?: { readonly eventLoopMonitoringPrecision?: number },
  ): void;
}
