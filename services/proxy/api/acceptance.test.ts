import { acceptance } from '../testing/acceptance.ts';
import { fakeHarness } from '../testing/harness.ts';

acceptance('a fake cluster', fakeHarness);
acceptance('a fake cluster and two workers', (options) => fakeHarness({ ...options, workers: true }));
