/** The models that a worker can open: their files in the browser, their weights in WebAssembly. */

import { ServerError } from '../trouble';
import type { IStep } from '../wire';
import { fileName, isWebPage, remedyFor, webPageInPlaceOf } from './address';
import { CharacterModel } from './charactermodel';
import type { IHosted, IModels } from './enginehost';
import { Engine } from './engine/engine';
import { pauses } from './engine/pause';
import type { IFiles } from './files';
import { NO_STORAGE } from './messages';
import { type ISource, modelFile } from './modelfile';

/** Milliseconds after which the engine counts as not fetched. */
const LONGEST = 30_000;

/** Fetch and compile the engine. */
export async function compiled(engine: URL): Promise<WebAssembly.Module> {
  const name = fileName(engine.href);
  const failed = (message: string) => new ServerError(500, 'download_failed', message);
  const noConnection = (): never => {
    throw failed(`${name} cannot be fetched. Is there a connection?`);
  };
  const response = await fetch(engine, { signal: AbortSignal.timeout(LONGEST) }).catch(noConnection);
  if (!response.ok) {
    throw failed(`${name} cannot be fetched (${response.status}). ${remedyFor(response.status)}`);
  }
  const bytes = await response.arrayBuffer().catch(noConnection);
  if (isWebPage(new TextDecoder().decode(bytes.slice(0, 64)))) {
    throw failed(webPageInPlaceOf(name));
  }
  try {
    return await WebAssembly.compile(bytes);
  } catch {
    throw new ServerError(
      500,
      'no_engine',
      'This browser lacks WebAssembly with SIMD, or the page forbids it. ' +
        'Use a current browser, or complete on a server.'
    );
  }
}

export class Models implements IModels {
  /** `files` is null where the browser keeps nothing; `engine` has the compiled engine. */
  constructor(
    private readonly _files: () => Promise<IFiles | null>,
    private readonly _module: () => Promise<WebAssembly.Module>
  ) {}

  async open(
    name: string,
    source: ISource,
    step: (step: IStep) => void,
    signal: AbortSignal
  ): Promise<IHosted> {
    const [file, module] = await Promise.all([
      modelFile(source, await this._files(), step, signal),
      this._module()
    ]);
    const bytes = new Uint8Array(await file.arrayBuffer());
    signal.throwIfAborted();
    return new CharacterModel(name, Engine.load(bytes, module), pauses());
  }

  async fetch(source: ISource, step: (step: IStep) => void, signal: AbortSignal): Promise<void> {
    const files = await this._files();
    if (!files) {
      throw new ServerError(500, NO_STORAGE, 'This browser keeps no files for this page.');
    }
    await modelFile(source, files, step, signal);
    const [isKept] = await this.stored([source]);
    if (!isKept) {
      throw new ServerError(500, NO_STORAGE, 'This browser has no room for the model.');
    }
  }

  async stored(sources: readonly ISource[]): Promise<boolean[]> {
    const names = new Set(await (await this._files())?.names());
    return sources.map(({ sha256 }) => names.has(sha256));
  }

  async remove({ sha256 }: ISource): Promise<number> {
    return (await (await this._files())?.remove(sha256)) ?? 0;
  }
}
