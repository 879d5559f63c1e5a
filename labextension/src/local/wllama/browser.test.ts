import { expect, it } from 'vitest';
import { lackOf } from './browser';

it.each([
  ['Chrome/150', true, true, true],
  ['Firefox/150.0', true, false, true],
  ['Version/18.0 Safari/605', false, false, false],
  ['Chrome/100', true, false, false],
  ['Firefox/100.0', false, false, false]
])('%s with 64-bit memory %s and JSPI %s runs larger models: %s', (agent, wide, waits, runs) => {
  const lack = lackOf({ agent, wide, waits });
  expect(lack === null).toBe(runs);
  expect(lack ?? 'cannot run larger models').toContain('cannot run larger models');
});
