/** The models that a worker can open: their files in the browser, their weights in WebAssembly. */

import { ServerError } from '../requesterror';
import type { IProgress } from '../wire';
import { Engine } from './engine/engine';
import type { IFiles } from './files';
import { NO_STORAGE } from './messages';
import { type ISource, modelFile } from './modelfile';
import { fetchWhole } from './address';

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

export class Models {
  /** `files` resolves to null if the browser does not store files. */
  constructor(
    private readonly _files: () => Promise<IFiles | null>,
    private readonly _module: () => Promise<WebAssembly.Module>
  ) {}

  async open(source: ISource, step: (step: IProgress) => void, signal: AbortSignal): Promise<Engine> {
    const [file, module] = await Promise.all([
      modelFile(source, await this._files(), step, signal),
      this._module()
    ]);
    const bytes = new Uint8Array(await file.arrayBuffer());
    signal.throwIfAborted();
    return Engine.load(bytes, module);
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
