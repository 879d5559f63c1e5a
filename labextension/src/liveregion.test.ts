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

describe('announcements to screen readers', () => {
  const body = new Element();

  beforeEach(() => vi.stubGlobal('document', { body, createElement: () => new Element() }));
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it('waits for what is being said, in a region that is there before', () => {
    const region = new LiveRegion('unseen');
    expect(body.children).toMatchObject([
      { className: 'unseen', textContent: '', attributes: { 'aria-live': 'polite' } }
    ]);
    region.say('Suggestion: x');
    expect(body.children[0].children).toMatchObject([{ textContent: 'Suggestion: x' }]);
  });

  it('is not lost where something else is said at once', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const region = new LiveRegion('unseen');
    const said = () => body.children.at(-1)?.children.map(({ textContent }) => textContent);
    region.say('Added above: import seaborn as sns');
    region.say('Suggestion: x');
    expect(said()).toEqual(['Added above: import seaborn as sns', 'Suggestion: x']);
    vi.advanceTimersByTime(1500);
    region.say('Suggestion: y');
    expect(said()).toEqual(['Suggestion: y']);
  });
});
