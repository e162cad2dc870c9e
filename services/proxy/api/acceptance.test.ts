import { fakeHarness } from '../testing/harness.ts';
import { acceptance } from './acceptance.ts';

acceptance('a fake cluster', fakeHarness);
