/** Modifier keys. Pure. */

const MODIFIERS = new Set([
  'Alt',
  'AltGraph',
  'CapsLock',
  'Control',
  'Fn',
  'FnLock',
  'Meta',
  'NumLock',
  'ScrollLock',
  'Shift'
]);

/** Return whether an event is that of a modifier key. */
export function isModifier({ key }: Pick<KeyboardEvent, 'key'>): boolean {
  return MODIFIERS.has(key);
}
