import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IContext, IDocument } from './document';
import { requestOf } from './local/testing/request';
import { RequestBuilder } from './request';
import { DEFAULTS } from './settings';

const POSITION = { text: 'x = 1', offset: 4 };
const CONTEXT = { session: { kernel: { id: 'kernel' } } } as unknown as IContext;

function document(path: string): IDocument {
  return {
    path,
    notebookSwitch: 'enabled',
    language: 'python',
    here: 'python',
    count: 1,
    active: 0,
    cellAt: () => ({ id: '', type: 'code', source: POSITION.text, executed: null })
  };
}

function bench() {
  const read: string[] = [];
  const builder = new RequestBuilder(path => {
    read.push(path);
    return [{ path: 'other.py', language: 'python', source: 'y' }];
  });
  return { builder, read };
}

describe('a request', () => {
  it('names its client and omits settings with the server’s default', () => {
    const { builder } = bench();
    const body = builder.build(document('a.py'), CONTEXT, POSITION, DEFAULTS, 'automatic');
    expect(body).toMatchObject({
      trigger: 'automatic',
      offset: 4,
      kernel_id: 'kernel',
      eagerness: null,
      max_tokens: null
    });
    const settings = { ...DEFAULTS, eagerness: 'quiet' } as const;
    expect(builder.build(document('a.py'), CONTEXT, POSITION, settings, 'invoke')).toMatchObject({
      trigger: 'invoke',
      eagerness: 'quiet'
    });
  });

  it('reads other documents once until another one has the focus', () => {
    const { builder, read } = bench();
    const build = (path: string) => builder.build(document(path), CONTEXT, POSITION, DEFAULTS, 'automatic');
    expect(build('a.py').documents).toHaveLength(1);
    build('a.py');
    build('b.py');
    builder.documentChanged();
    build('b.py');
    expect(read).toEqual(['a.py', 'b.py', 'b.py']);
  });

  it('contains no other documents if the setting is disabled', () => {
    const { builder, read } = bench();
    const settings = { ...DEFAULTS, otherDocuments: false };
    expect(builder.build(document('a.py'), CONTEXT, POSITION, settings, 'automatic').documents).toEqual([]);
    expect(read).toEqual([]);
  });

  it('reports whether the notebook index may be used', () => {
    const { builder } = bench();
    const build = (notebookIndex: boolean) =>
      builder.build(document('a.py'), CONTEXT, POSITION, { ...DEFAULTS, notebookIndex }, 'automatic')
        .notebook_index;
    expect([build(true), build(false)]).toEqual([true, false]);
  });

  it('for alternatives requests one more than is shown, as another client', () => {
    const { builder } = bench();
    const body = builder.build(document('a.py'), CONTEXT, POSITION, DEFAULTS, 'invoke');
    const more = builder.forAlternatives(body, 2);
    expect(more).toEqual({ ...body, stream: false, n: 3, client: more.client });
    expect(more.client).not.toBe(body.client);
  });

  it('has a greater sequence number than all previous ones', () => {
    const { builder } = bench();
    const build = () => builder.build(document('a.py'), CONTEXT, POSITION, DEFAULTS, 'automatic');
    const first = build();
    const bodies = [first, build(), builder.afterAccepting(first, { text: '1', needs: [] }), build()];
    expect(bodies.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
  });
});

describe('the request after a suggestion is accepted', () => {
  function after(source: string, offset: number, text: string, needs: string[] = []) {
    const cells = [
      { id: '0', type: 'code', source: 'above', executed: true },
      { id: '1', type: 'code', source, executed: null }
    ] as const;
    const body = requestOf('', { cells: [...cells], active: 1, offset });
    return bench().builder.afterAccepting(body, { text, needs });
  }

  it('has the text at the cursor and the cursor after it, for any characters', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 });
    fc.assert(
      fc.property(text, text, text, (before, accepted, suffix) => {
        const offset = [...before].length;
        const next = after(before + suffix, offset, accepted);
        expect(next.cells[1].source).toBe(before + accepted + suffix);
        expect(next.offset).toBe(offset + [...accepted].length);
        expect(next.cells[0].source).toBe('above');
        expect([next.trigger, next.stream]).toEqual(['prefetch', false]);
      })
    );
  });

  it('has the signs with which the editor closes brackets after the cursor', () => {
    const body = requestOf('x = ', {});
    const next = bench().builder.afterAccepting(body, { text: 'f("', needs: [] }, '")');
    expect([next.cells[0].source, next.offset]).toEqual(['x = f("")', 7]);
  });

  it.each([
    [
      'inserted above, as when it is accepted',
      '%%time\nx = ',
      'np.pi',
      'import numpy as np',
      '%%time\nimport numpy as np\nx = np.pi'
    ],
    ['inserted with offsets in code points', '', '𝛼.x', 'import a as 𝛼', 'import a as 𝛼\n𝛼.x'],
    [
      'omitted if the top of the cell is not above the cursor',
      '%%timeit ',
      'np.pi',
      'import numpy as np',
      '%%timeit np.pi'
    ]
  ])('has its imports %s', (_, source, text, needed, expected) => {
    const next = after(source, source.length, text, [needed]);
    expect([next.cells[1].source, next.offset]).toEqual([expected, [...expected].length]);
  });
});
