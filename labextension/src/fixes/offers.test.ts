import { Signal } from '@lumino/signaling';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Offer } from './offer';
import { Offers } from './offers';

/** An element that records its classes. */
function nodeOf() {
  const classes = new Set<string>();
  const toggle = (name: string, on: boolean) => (on ? classes.add(name) : classes.delete(name));
  return { classes, classList: { toggle } };
}

describe('Offers', () => {
  const content = { activeCell: null as unknown };
  const [panel, first, second] = [{ node: nodeOf(), content }, { node: nodeOf() }, { node: nodeOf() }];
  let offers: Offers;

  beforeEach(() => {
    offers = new Offers();
    content.activeCell = first;
    [panel, first, second].forEach(({ node }) => node.classes.clear());
  });

  const add = (cell: unknown, primary: (() => void) | null = () => undefined, isAllowed = true) => {
    const offer = {
      panel,
      cell,
      primary,
      changed: new Signal<object, void>({}),
      disposed: new Signal<object, void>({}),
      dispose: () => offer.disposed.emit()
    };
    offers.add(offer as unknown as Offer, () => isAllowed);
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

  it('dismisses the offer of the active cell first', () => {
    const [older, newer] = [add(first), add(second)];
    expect(dismissible()).toBe(older);
    older.dispose();
    expect(dismissible()).toBe(newer);
  });

  it('marks notebook and cell for the shortcuts while there is an offer', () => {
    const offer = add(first);
    const marks = () => [panel, first, second].map(({ node }) => node.classes.size);
    expect(marks()).toEqual([1, 1, 0]);
    offer.primary = null;
    offer.changed.emit();
    expect(marks()).toEqual([0, 1, 0]);
    offer.dispose();
    expect(marks()).toEqual([0, 0, 0]);
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
