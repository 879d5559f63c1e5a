/** The models that a worker can open: their files in the browser, their weights in WebAssembly. */

import { ServerError } from '../requesterror';
import type { IProgress } from '../wire';
import { Engine } from './engine/engine';
import { write } from './engine/generation';
import type { IEngine } from './engineinterface';
import type { IFiles } from './files';
import { NO_STORAGE } from './messages';
import { type ISource, modelFile } from './modelfile';
import { fetchWhole } from './address';
import type { CharacterVocabulary } from './vocabulary';

/** Download and compile the engine. */
export async function compiled(engine: URL): Promise<WebAssembly.Module> {
  const bytes = await fetchWhole(engine.href, 'download_failed');
  try {
    return await WebAssembly.compile(bytes);
  } catch {
    throw new ServerError(
      500,
      'no_engine',
      'This browser does not support WebAssembly SIMD, or the page forbids it. ' +
        'Use a current browser, or a Jupyter server with Turbopilot.'
    );
  }
}

/** An engine whose vocabulary can be sent to the page. */
export interface IHosted extends IEngine {
  readonly vocabulary: CharacterVocabulary;
}

export class Models {
  /** `files` resolves to null if the browser does not store files. */
  constructor(
    private readonly _files: () => Promise<IFiles | null>,
    private readonly _module: () => Promise<WebAssembly.Module>
  ) {}

  async open(
    name: string,
    source: ISource,
    step: (step: IProgress) => void,
    signal: AbortSignal
  ): Promise<IHosted> {
    const [file, module] = await Promise.all([
      modelFile(source, await this._files(), step, signal),
      this._module()
    ]);
    const bytes = new Uint8Array(await file.arrayBuffer());
    signal.throwIfAborted();
    return characterModel(name, Engine.load(bytes, module));
  }

  /** Download a model into the browser's storage. */
  async fetch(source: ISource, step: (step: IProgress) => void, signal: AbortSignal): Promise<void> {
    const files = await this._files();
    if (!files) {
      throw new ServerError(500, NO_STORAGE, 'This browser does not store files for this page.');
    }
    await modelFile(source, files, step, signal);
    const [isKept] = await this.stored([source]);
    if (!isKept) {
      throw new ServerError(500, NO_STORAGE, 'The browser storage has no space for the model.');
    }
  }

  /** Return which of these are stored. */
  async stored(sources: readonly ISource[]): Promise<boolean[]> {
    const names = new Set(await (await this._files())?.names());
    return sources.map(({ sha256 }) => names.has(sha256));
  }

  /** Delete a model; return the freed bytes. */
  async remove({ sha256 }: ISource): Promise<number> {
    return (await (await this._files())?.remove(sha256)) ?? 0;
  }
}

/** Wrap a character model in WebAssembly as an engine. */
export function characterModel(name: string, engine: Engine, pause = pauses()): IHosted {
  return {
    name,
    contextSize: engine.length,
    vocabulary: engine.vocabulary,
    generate: (ask, signal) => write(engine, ask, pause, signal)
  };
}

/**
 * Return a function that lets the messages through that wait for this thread: it returns to the message loop and continues
 * at once. Browsers delay timers, but not messages.
 */
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
