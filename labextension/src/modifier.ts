/** Keys that do nothing by themselves. Pure. */

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

/** Whether a key only changes what others do. */
export function isModifier({ key }: Pick<KeyboardEvent, 'key'>): boolean {
  return MODIFIERS.has(key);
}
