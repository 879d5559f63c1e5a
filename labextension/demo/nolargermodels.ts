/** In the place of what runs larger models: the page has none. */

import type { WllamaModel as Larger } from '../src/local/wllama/wllamamodel';
import { ServerError } from '../src/trouble';

export const WllamaModel: Pick<typeof Larger, 'open'> = {
  open: () => Promise.reject(new ServerError(500, 'no_engine', 'This page runs no larger models.'))
};
