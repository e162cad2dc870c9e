import { acceptance } from '../testing/acceptance.ts';
import { fakeHarness } from '../testing/harness.ts';

acceptance('a fake cluster', fakeHarness);
