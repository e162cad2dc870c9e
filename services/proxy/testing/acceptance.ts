// The acceptance checklist of the wire, section 9, as far as it is about the RPCs of this service: each test bears the
// number and the words of its statement. It runs over any cluster for which there is a harness.
import { describe } from '@jest/globals';
import { consumeStatements } from './acceptance-consume.ts';
import { delayStatements } from './acceptance-delay.ts';
import { deliveryStatements } from './acceptance-delivery.ts';
import { fifoStatements } from './acceptance-fifo.ts';
import { liteStatements } from './acceptance-lite.ts';
import { officialAdminStatements } from './acceptance-official-admin.ts';
import { officialLiteStatements } from './acceptance-official-lite.ts';
import { offsetStatements } from './acceptance-offsets.ts';
import { priorityStatements } from './acceptance-priority.ts';
import { produceStatements } from './acceptance-produce.ts';
import { robustnessStatements } from './acceptance-robustness.ts';
import { routeStatements } from './acceptance-routes.ts';
import { telemetryStatements } from './acceptance-telemetry.ts';
import { transactionStatements } from './acceptance-transactions.ts';
import type { HarnessFactory } from './harness.ts';

export function acceptance(cluster: string, make: HarnessFactory): void {
  describe(`the acceptance checklist over ${cluster}`, () => {
    telemetryStatements(make);
    routeStatements(make);
    produceStatements(make);
    consumeStatements(make);
    deliveryStatements(make);
    delayStatements(make);
    offsetStatements(make);
    fifoStatements(make);
    priorityStatements(make);
    officialAdminStatements(make);
    officialLiteStatements(make);
    liteStatements(make);
    transactionStatements(make);
    robustnessStatements(make);
  });
}
