// The acceptance checklist of the wire, section 9, as far as it is about the RPCs of this service: each test bears the
// number and the words of its statement. It runs over any cluster for which there is a harness.
import { describe } from '@jest/globals';
import { consumeStatements } from '../testing/acceptance-consume.ts';
import { deliveryStatements } from '../testing/acceptance-delivery.ts';
import { produceStatements } from '../testing/acceptance-produce.ts';
import { robustnessStatements } from '../testing/acceptance-robustness.ts';
import { routeStatements } from '../testing/acceptance-routes.ts';
import { telemetryStatements } from '../testing/acceptance-telemetry.ts';
import type { HarnessFactory } from '../testing/harness.ts';

export function acceptance(cluster: string, make: HarnessFactory): void {
  describe(`the acceptance checklist over ${cluster}`, () => {
    telemetryStatements(make);
    routeStatements(make);
    produceStatements(make);
    consumeStatements(make);
    deliveryStatements(make);
    robustnessStatements(make);
  });
}
