import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LiveRegion } from './liveregion';

/** As much of an element as a region uses. */
class Element {
  readonly attributes: Record<string, string> = {};
  readonly children: Element[] = [];
  className = '';
  textContent = '';

  append = (child: Element): void => void this.children.push(child);
  replaceChildren = (): void => void this.children.splice(0);
  setAttribute = (name: string, value: string): void => void (this.attributes[name] = value);
}

describe('LiveRegion', () => {
  const body = new Element();

  beforeEach(() => vi.stubGlobal('document', { body, createElement: () => new Element() }));
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it('replaces a text only after a delay, in an existing region', () => {
    const region = new LiveRegion('unseen');
    expect(body.children).toMatchObject([
      { className: 'unseen', textContent: '', attributes: { 'aria-live': 'polite' } }
    ]);
    region.say('Suggestion: x');
    expect(body.children[0].children).toMatchObject([{ textContent: 'Suggestion: x' }]);
  });

  it('announces texts that follow each other at once', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const region = new LiveRegion('unseen');
    const message = () => body.children.at(-1)?.children.map(({ textContent }) => textContent);
    region.say('Added above: import seaborn as sns');
    region.say('Suggestion: x');
    expect(message()).toEqual(['Added above: import seaborn as sns', 'Suggestion: x']);
    vi.advanceTimersByTime(1500);
    region.say('Suggestion: y');
    expect(message()).toEqual(['Suggestion: y']);
  });
});
