/** Returns to the message loop and goes on at once: timers are stretched by browsers, messages are not. */

/** Make a function that lets the messages through that wait for this thread. */
export function pauses(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise(resolve => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}
