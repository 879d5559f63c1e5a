import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Offer } from './offer';
import { type Kind, Offers } from './offers';

/** An element that records its classes. */
function nodeOf() {
  const classes = new Set<string>();
  const toggle = (name: string, on: boolean) => (on ? classes.add(name) : classes.delete(name));
  return { classes, classList: { toggle } };
}

describe('Offers', () => {
  const content = { activeCell: null as unknown, node: nodeOf() };
  const [panel, first, second] = [{ node: nodeOf(), content }, { node: nodeOf() }, { node: nodeOf() }];
  let offers: Offers;

  beforeEach(() => {
    offers = new Offers();
    content.activeCell = first;
    [panel, content, first, second].forEach(({ node }) => node.classes.clear());
  });

  const add = (
    cell: unknown,
    primary: (() => void) | null = () => undefined,
    isAllowed = true,
    kind: Kind = 'suggestFixes'
  ) => {
    const node = nodeOf();
    const offer = {
      panel,
      cell,
      classes: node.classes,
      toggleClass: node.classList.toggle,
      primary,
      all: kind === 'suggestRepeats' ? primary : null,
      changed: new Signal<object, void>({}),
      disposed: new Signal<object, void>({}),
      dispose: () => offer.disposed.emit()
    };
    offers.add(offer as unknown as Offer, kind, () => isAllowed);
    return offer;
  };
  const newest = () => offers.newestIn(content as never);
  const dismissible = () => offers.dismissibleIn(content as never);

  it('finds the newest offer that can be applied', () => {
    const [older, newer] = [add(first), add(second)];
    add(second, null);
    expect(newest()).toBe(newer);
    newer.dispose();
    expect(newest()).toBe(older);
    expect(offers.newestIn(null)).toBeUndefined();
  });

  it('prefers a check to an older offer of another cell', () => {
    const older = add(second);
    const check = add(first, undefined, true, 'check');
    expect(newest()).toBe(check);
    expect([check, older].map(({ classes }) => classes.size)).toEqual([1, 0]);
    const newer = add(second);
    expect(newest()).toBe(newer);
    newer.dispose();
    const here = add(first);
    expect(newest()).toBe(here);
  });

  it('dismisses the offer of the active cell first', () => {
    const [older, newer] = [add(first), add(second)];
    expect(dismissible()).toBe(older);
    older.dispose();
    expect(dismissible()).toBe(newer);
  });

  it('marks notebook and cell for the shortcuts while there is an offer', () => {
    const offer = add(first);
    const marks = () => [panel, content, first, second].map(({ node }) => node.classes.size);
    expect(marks()).toEqual([1, 0, 1, 0]);
    offer.primary = null;
    offer.changed.emit();
    expect(marks()).toEqual([0, 0, 1, 0]);
    offer.dispose();
    expect(marks()).toEqual([0, 0, 0, 0]);
    const repeat = add(first, undefined, true, 'suggestRepeats');
    expect(marks()).toEqual([2, 1, 1, 0]);
    repeat.dispose();
    expect(marks()).toEqual([0, 0, 0, 0]);
  });

  it('prefers fixes to renames, renames to repeated edits, and these to a check', () => {
    const kinds: Kind[] = ['suggestFixes', 'suggestRenames', 'suggestRepeats', 'check'];
    const added = kinds.map(kind => add(second, undefined, true, kind));
    expect(offers.newestIn(content as never, 'all')).toBe(added[2]);
    for (const offer of added) {
      expect(newest()).toBe(offer);
      expect(added.filter(({ classes }) => classes.size > 0)).toEqual([offer]);
      offer.dispose();
      offer.classes.clear();
    }
  });

  it('counts the fixes if the shortcut applies one', () => {
    const count = () => offers.countFixes(content as never);
    expect(count()).toBe(0);
    const rename = add(second, undefined, true, 'suggestRenames');
    expect(count()).toBe(0);
    const fix = add(second);
    add(second, undefined, true, 'check');
    add(second, null);
    expect(count()).toBe(2);
    Object.assign(fix, { isReport: true });
    expect(count()).toBe(0);
    fix.dispose();
    expect(count()).toBe(0);
    rename.dispose();
    expect(count()).toBe(1);
  });

  it('dismisses a repeated edit from any cell', () => {
    const [repeat, fix] = [add(second, undefined, true, 'suggestRepeats'), add(second)];
    expect(dismissible()).toBe(repeat);
    content.activeCell = second;
    expect(dismissible()).toBe(fix);
  });

  it('removes only the offers that are no longer allowed', () => {
    add(second, null, false);
    const kept = add(first);
    add(second, null, false);
    offers.removeDisallowed();
    expect(newest()).toBe(kept);
    kept.dispose();
    expect(dismissible()).toBeUndefined();
  });
});
