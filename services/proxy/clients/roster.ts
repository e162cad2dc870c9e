// The clients of this proxy for administration: those of this process, together with those of the other workers if it
// is one of several. A client whose connections ended up at two workers is one client.
import { CLIENT_TYPE, type Settings } from '../api/messages.ts';
import { COLLEAGUE_MS, type Colleagues } from './colleagues.ts';
import type { Session, Sessions } from './sessions.ts';

export interface ClientView {
  readonly clientId: string;
  readonly language: string;
  readonly version: string;
  readonly peer: string;
  readonly clientType: number;
  /** Key of the consumer group; empty for producers and while unknown. */
  readonly group: string;
  /** It has said or shown that it publishes a topic. */
  readonly publishes: boolean;
  readonly openReceives: number;
  readonly telemetryStreams: number;
  readonly silentForMs: number;
  /** Its newest settings, of a consumer with an open Telemetry stream. */
  readonly settings: Settings | undefined;
}

/** Which clients; all if absent. */
export interface Selection {
  readonly group?: string;
  readonly clientId?: string;
}

export interface Roster {
  /** Of this process only. */
  own(selection: Selection): readonly ClientView[];
  /** Of all workers. */
  all(selection?: Selection): Promise<readonly ClientView[]>;
}

export interface RosterParts {
  readonly sessions: Pick<Sessions, 'all' | 'get'>;
  readonly settingsOf: (groupKey: string) => ReadonlyMap<string, Settings>;
  readonly nowMs: () => number;
  readonly colleagues: Colleagues;
}

export function createRoster({ sessions, settingsOf, nowMs, colleagues }: RosterParts): Roster {
  function viewOf(session: Session, settings: Settings | undefined): ClientView {
    const { clientId, language, version, peer, clientType, group, published, endPolls } = session;
    return {
      ...{ clientId, language, version, peer, clientType, group, settings },
      publishes: published.size > 0,
      openReceives: endPolls.size,
      telemetryStreams: session.dismissStreams.size,
      silentForMs: Math.max(0, Math.round(nowMs() - session.lastHeardMs)),
    };
  }

  function own({ group, clientId }: Selection): readonly ClientView[] {
    const chosen = clientId === undefined ? sessions.all() : [sessions.get(clientId)];
    const settings = new Map<string, ReadonlyMap<string, Settings>>();
    const views: ClientView[] = [];
    for (const session of chosen) {
      if (session === undefined || (group !== undefined && session.group !== group)) continue;
      const ofGroup = settings.get(session.group) ?? settingsOf(session.group);
      settings.set(session.group, ofGroup);
      views.push(viewOf(session, ofGroup.get(session.clientId)));
    }
    return views;
  }

  return {
    own,
    async all(selection = {}) {
      const others = await colleagues.ask('clients', selection, COLLEAGUE_MS);
      const clients = new Map<string, ClientView>();
      for (const view of [own(selection), ...others].flat()) {
        const known = clients.get(view.clientId);
        clients.set(view.clientId, known === undefined ? view : together(known, view));
      }
      return [...clients.values()];
    },
  };
}

/** What two workers know of one client. The one that has its Telemetry stream was told, the other one guesses. */
function together(one: ClientView, other: ClientView): ClientView {
  const [told, guessed] = other.telemetryStreams > one.telemetryStreams ? [other, one] : [one, other];
  return {
    ...told,
    clientType: told.clientType === CLIENT_TYPE.unspecified ? guessed.clientType : told.clientType,
    group: told.group || guessed.group,
    publishes: one.publishes || other.publishes,
    openReceives: one.openReceives + other.openReceives,
    telemetryStreams: one.telemetryStreams + other.telemetryStreams,
    silentForMs: Math.min(one.silentForMs, other.silentForMs),
    settings: told.settings ?? guessed.settings,
  };
}
