/** The models that a worker can open: their files in the browser, their weights in WebAssembly. */

import { ServerError } from '../trouble';
import type { IStep } from '../wire';
import { CharacterModel } from './charactermodel';
import type { IHosted, IModels } from './enginehost';
import { Engine } from './engine/engine';
import { pauses } from './engine/pause';
import type { IFiles } from './files';
import { type ISource, modelFile } from './modelfile';

export class Models implements IModels {
  /** `files` is null where the browser keeps nothing; `engine` has the compiled engine. */
  constructor(
    private readonly _files: () => Promise<IFiles | null>,
    private readonly _module: () => Promise<WebAssembly.Module>
  ) {}

  async open(name: string, source: ISource, step: (step: IStep) => void): Promise<IHosted> {
    const [bytes, module] = await Promise.all([
      modelFile(source, await this._files(), step),
      this._module().catch(() => {
        throw new ServerError(
          500,
          'no_engine',
          'This browser cannot run the engine: it lacks WebAssembly with SIMD, or the page forbids it. ' +
            'Use a current browser, or complete on a server.'
        );
      })
    ]);
    return new CharacterModel(name, Engine.load(bytes, module), pauses());
  }

  async stored(sources: readonly ISource[]): Promise<boolean[]> {
    const names = new Set(await (await this._files())?.names());
    return sources.map(({ sha256 }) => names.has(sha256));
  }

  async remove({ sha256 }: ISource): Promise<number> {
    return (await (await this._files())?.remove(sha256)) ?? 0;
  }
}
