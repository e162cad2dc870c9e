// The proxy that is asked, about itself: what passes through it, and how much its log tells.

import { isConsumer } from '../../clients/sessions.ts';
import { refuse } from '../admin-context.ts';
import type { UnaryHandler } from '../call.ts';
import { CLIENT_TYPE } from '../messages.ts';
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
  const { context, version } = parts;
  return {
    GetProxyRuntimeStats: answering(context, 'GetProxyRuntimeStats', async () => {
      const { stored, delivered } = context.traffic.rates.perSecond();
      let [producers, consumers] = [0, 0];
      for (const session of context.sessions.all()) {
        if (isConsumer(session)) consumers++;
        else if (session.clientType === CLIENT_TYPE.producer || session.published.size > 0) producers++;
      }
      const rates = { inTps: stored, outTps: delivered };
      const clients = { connections: parts.connections(), producers, consumers };
      return { proxyName: context.config.proxyId, version, ...rates, ...clients };
    }),

    async ChangeLogLevel(_call, { level = 0 }) {
      const name = LOG_LEVELS[level];
      if (name === undefined)
        refuse('BAD_REQUEST', 'There is no such level. Choose TRACE, DEBUG, INFO, WARN or ERROR.');
      parts.setLogLevel(name);
      context.logger.info('the log level was changed', { level: name });
      return { remark: `This process logs from level ${name} on, until it ends or the level is changed again.` };
    },
  };
}
