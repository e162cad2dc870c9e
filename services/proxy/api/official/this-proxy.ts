// The proxy that is asked, about itself: what passes through it, and how much its log tells.

import { COLLEAGUE_MS } from '../../clients/colleagues.ts';
import { refuse } from '../admin-context.ts';
import type { UnaryHandler } from '../call.ts';
import { CLIENT_TYPE, isConsumerType } from '../messages.ts';
import { type Answered, answering, LOG_LEVELS, type OfficialParts } from './context.ts';

interface RuntimeStats {
  readonly proxyName: string;
  readonly version: string;
  readonly inTps: number;
  readonly outTps: number;
  readonly connections: number;
  readonly producers: number;
  readonly consumers: number;
}

export interface OfficialProxyHandlers {
  readonly GetProxyRuntimeStats: UnaryHandler<unknown, Answered<RuntimeStats>>;
  /** Its answer has no status: a level that does not exist ends with a gRPC status. */
  readonly ChangeLogLevel: UnaryHandler<{ readonly level?: number }, { readonly remark: string }>;
}

export function officialProxyHandlers(parts: OfficialParts): OfficialProxyHandlers {
  const { context, roster, version } = parts;
  return {
    GetProxyRuntimeStats: answering(context, 'GetProxyRuntimeStats', async () => {
      const [clients, others] = await Promise.all([roster.all(), context.colleagues.ask('load', null, COLLEAGUE_MS)]);
      let [producers, consumers] = [0, 0];
      for (const { clientType, publishes } of clients) {
        if (isConsumerType(clientType)) consumers++;
        else if (clientType === CLIENT_TYPE.producer || publishes) producers++;
      }
      let [inTps, outTps, connections] = [0, 0, 0];
      for (const load of [{ ...context.traffic.rates.perSecond(), connections: parts.connections() }, ...others]) {
        inTps += load.stored;
        outTps += load.delivered;
        connections += load.connections;
      }
      return { proxyName: context.config.proxyId, version, inTps, outTps, connections, producers, consumers };
    }),

    async ChangeLogLevel(_call, { level = 0 }) {
      const name = LOG_LEVELS[level];
      if (name === undefined)
        refuse('BAD_REQUEST', 'There is no such level. Choose TRACE, DEBUG, INFO, WARN or ERROR.');
      parts.setLogLevel(name);
      void context.colleagues.ask('logLevel', name, COLLEAGUE_MS);
      context.logger.info('the log level was changed', { level: name });
      return { remark: `This proxy logs from level ${name} on, until it ends or the level is changed again.` };
    },
  };
}
