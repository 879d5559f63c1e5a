/** A request for tests: one Python cell with the cursor at its end. */

import type { IRequest } from '../../wire';

export function requestOf(source: string, more: Partial<IRequest> = {}): IRequest {
  return {
    path: 'a.ipynb',
    language: 'python',
    cells: [{ id: 'cell', type: 'code', source }],
    active: 0,
    offset: source.length,
    documents: [],
    trigger: 'invoke',
    lines: 'auto',
    stream: true,
    client: 'tab',
    sequence: 0,
    n: 1,
    temperature: 0,
    ...more
  };
}
