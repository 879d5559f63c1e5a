/** Whether a browser can run wllama. Pure. */

/** What a browser has. */
export interface IBrowser {
  agent: string;
  /** whether WebAssembly may have more than 4 GB of addresses */
  wide: boolean;
  /** whether WebAssembly can wait for JavaScript */
  waits: boolean;
}

export function thisBrowser(): IBrowser {
  return { agent: navigator.userAgent, wide: hasWideMemory(), waits: 'Suspending' in WebAssembly };
}

/** Say why wllama does not run here; null: it does. */
export function lackOf({ agent, wide, waits }: IBrowser): string | null {
  // In Firefox it does without waiting.
  return wide && (waits || agent.includes('Firefox/'))
    ? null
    : 'This browser cannot run larger models (no 64-bit memory or JSPI). ' +
        'Use a current Chrome, Edge or Firefox, or another model.';
}

function hasWideMemory(): boolean {
  try {
    new WebAssembly.Memory({ address: 'i64', initial: 1n } as unknown as WebAssembly.MemoryDescriptor);
    return true;
  } catch {
    return false;
  }
}
