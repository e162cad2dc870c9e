// Node strips the types itself; Jest is given the same by a two-line transform.
const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/tests/strip-types.mjs' },
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json', 'node'],
  modulePathIgnorePatterns: ['<rootDir>/.cache/', '<rootDir>/data/'],
};

export default {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: [
        '<rootDir>/services/**/*.test.ts',
        '<rootDir>/tests/*.test.ts',
        '<rootDir>/tests/conformance/**/*.test.ts',
        '<rootDir>/tests/codecs/**/*.test.ts',
        '<rootDir>/tests/bench/**/*.test.ts',
        '<rootDir>/tests/chaos/**/*.test.ts',
        '<rootDir>/tests/chart/**/*.test.ts',
        '<rootDir>/tests/kubernetes/**/*.test.ts',
      ],
    },
    { ...common, displayName: 'simulation', testMatch: ['<rootDir>/tests/simulation/**/*.test.ts'] },
    { ...common, displayName: 'integration', testMatch: ['<rootDir>/tests/integration/**/*.test.ts'] },
  ],
};
