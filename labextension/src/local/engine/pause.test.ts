import { expect, it } from 'vitest';
import { pauses } from './pause';

it('lets a message through that waits, and goes on in order', async () => {
  const pause = pauses();
  const seen: string[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => seen.push('message');
  port2.postMessage(null);
  await Promise.all([pause().then(() => seen.push('first')), pause().then(() => seen.push('second'))]);
  expect(seen.filter(name => name !== 'message')).toEqual(['first', 'second']);
  // Node takes up to 1 000 messages of one channel before it looks at others; browsers take them in order.
  for (let at = 0; at < 5000 && !seen.includes('message'); at++) {
    await pause();
  }
  expect(seen).toContain('message');
  port1.close();
});
