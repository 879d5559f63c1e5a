/** The entry point of the worker that runs the browser engine. */

import { EngineHost } from './enginehost';
import { PrivateFiles } from './files';
import { compiled, Models } from './models';

const engine = new URL('../../wasm/engine.wasm', import.meta.url);

const models = new Models(
  () => PrivateFiles.open(),
  () => compiled(engine)
);
new EngineHost(self, models);
