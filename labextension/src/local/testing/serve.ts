/** Answers calls from another process: lines of JSON, a function's name and its arguments. */

import { createInterface } from 'node:readline';
import { FUNCTIONS } from './functions';

type Call = [name: keyof typeof FUNCTIONS, given: unknown[]];

for await (const line of createInterface({ input: process.stdin })) {
  const [name, given] = JSON.parse(line) as Call;
  const called = async () => await (FUNCTIONS[name] as (...given: unknown[]) => unknown)(...given);
  const answer = await called().then(
    result => ({ result }),
    (reason: unknown) => ({
      error: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
    })
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
