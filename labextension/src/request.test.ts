import { describe, expect, it } from 'vitest';
import type { IContext, IDocument } from './document';
import { RequestBuilder } from './request';
import { DEFAULTS } from './settings';

const PLACE = { text: 'x = 1', offset: 4 };
const CONTEXT = { session: { kernel: { id: 'kernel' } } } as unknown as IContext;

function document(path: string): IDocument {
  return {
    path,
    language: 'python',
    here: 'python',
    count: 1,
    active: 0,
    cellAt: () => ({ id: '', type: 'code', source: PLACE.text, executed: null })
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
  it('says who asks, and leaves to the server what the settings leave to it', () => {
    const { builder } = bench();
    const body = builder.build(document('a.py'), CONTEXT, PLACE, DEFAULTS, false);
    expect(body).toMatchObject({
      trigger: 'automatic',
      offset: 4,
      kernel_id: 'kernel',
      eagerness: null,
      max_tokens: null
    });
    const settings = { ...DEFAULTS, eagerness: 'quiet', maxTokens: 9 } as const;
    expect(builder.build(document('a.py'), CONTEXT, PLACE, settings, true)).toMatchObject({
      trigger: 'invoke',
      eagerness: 'quiet',
      max_tokens: 9
    });
  });

  it('reads other documents once, until another one has the focus', () => {
    const { builder, read } = bench();
    const build = (path: string) => builder.build(document(path), CONTEXT, PLACE, DEFAULTS, false);
    expect(build('a.py').extra).toHaveLength(1);
    build('a.py');
    build('b.py');
    builder.documentChanged();
    build('b.py');
    expect(read).toEqual(['a.py', 'b.py', 'b.py']);
  });

  it('holds no other documents where they are not to be used', () => {
    const { builder, read } = bench();
    const settings = { ...DEFAULTS, otherDocuments: false };
    expect(builder.build(document('a.py'), CONTEXT, PLACE, settings, false).extra).toEqual([]);
    expect(read).toEqual([]);
  });

  it('says whether the other notebooks may be used that the server remembers', () => {
    const { builder } = bench();
    const build = (memory: boolean) =>
      builder.build(document('a.py'), CONTEXT, PLACE, { ...DEFAULTS, memory }, false).memory;
    expect([build(true), build(false)]).toEqual([true, false]);
  });

  it('for alternatives asks for one more than are shown, as another client', () => {
    const { builder } = bench();
    const body = builder.build(document('a.py'), CONTEXT, PLACE, DEFAULTS, true);
    const more = builder.forAlternatives(body, 2);
    expect(more).toEqual({ ...body, stream: false, n: 3, client: more.client });
    expect(more.client).not.toBe(body.client);
  });
});
