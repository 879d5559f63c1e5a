/** The worker of a page that completes by itself: it has the model, and does nothing else. */

import { EngineHost } from './enginehost';
import { PrivateFiles } from './files';
import { compiled, Models } from './models';

const engine = new URL('../../wasm/engine.wasm', import.meta.url);

const models = new Models(
  () => PrivateFiles.open(),
  () => compiled(engine)
);
new EngineHost(self, models);
