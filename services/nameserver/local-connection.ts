// A connection to a NameService in the same process: for a cluster that lives in one process, and for tests. Messages
// arrive in order, each in a later turn than the one that sent it, as over a network.
import type { NameServerConnection } from '@fulmar/core/name-service.ts';
import type { Timers } from '@fulmar/core/ports.ts';
import type { NameService } from './name-service.ts';

export function connectLocally(service: NameService, timers: Timers): NameServerConnection {
  return {
    register(listener) {
      let open = true;
      const end = (reason: string): void => {
        if (!open) return;
        open = false;
        listener.onEnd(reason);
      };
      const registration = service.openRegistration({
        reply: (reply) => timers.soon(() => open && listener.onReply(reply)),
        end: (reason) => timers.soon(() => end(reason.message)),
      });
      return {
        send(report) {
          timers.soon(() => open && registration.onReport(report));
          return true;
        },
        finish() {
          open = false;
          timers.soon(() => registration.onReport({ putTopics: [], deletedTopics: [], more: false, goodbye: true }));
        },
        cancel() {
          open = false;
          timers.soon(() => registration.onEnd());
        },
      };
    },
    watch(listener) {
      let open = true;
      const watcher = service.openWatch({
        send(event) {
          timers.soon(() => open && listener.onEvent(event));
          return true;
        },
        end(reason) {
          timers.soon(() => {
            if (open) listener.onEnd(reason.message);
            open = false;
          });
        },
      });
      return {
        cancel() {
          open = false;
          watcher.onEnd();
        },
      };
    },
    close() {},
  };
}
