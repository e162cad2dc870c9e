// What all handlers of one proxy share: its dependencies and the little that it remembers about topics, groups,
// clients.
import type { Colleagues } from '../clients/colleagues.ts';
import type { Sessions } from '../clients/sessions.ts';
import type { ProxyDependencies } from './dependencies.ts';
import type { createAddressing } from './endpoints.ts';
import type { Groups } from './groups.ts';
import type { Topics } from './topics.ts';
import type { Traffic } from './traffic.ts';

export interface ProxyContext extends ProxyDependencies {
  readonly topics: Topics;
  readonly groups: Groups;
  readonly sessions: Sessions;
  readonly addressing: ReturnType<typeof createAddressing>;
  readonly traffic: Traffic;
  readonly colleagues: Colleagues;
}
