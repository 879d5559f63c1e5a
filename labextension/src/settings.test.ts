import { readFileSync } from 'node:fs';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { describe, expect, it } from 'vitest';
import { DEFAULTS, Preferences } from './settings';

interface ISchema {
  properties: Record<string, { default: unknown; title: string; description: string }>;
}

const schema = JSON.parse(readFileSync('schema/plugin.json', 'utf8')) as ISchema;

describe('the schema', () => {
  it('has the same defaults', () => {
    const shown = Object.fromEntries(
      Object.entries(schema.properties).map(([name, { default: value }]) => [name, value])
    );
    expect(shown).toEqual(DEFAULTS);
  });

  it('has a description for each setting', () => {
    for (const property of Object.values(schema.properties)) {
      expect(property.title && property.description).toBeTruthy();
    }
  });
});

/** A registry with these settings; `change` acts like the settings editor. */
function registry(composite: Record<string, unknown>, saved = Promise.resolve()) {
  let changed: () => void = () => undefined;
  const settings = {
    composite,
    changed: { connect: (slot: () => void) => (changed = slot) },
    set: (name: string, value: unknown) => {
      composite[name] = value;
      changed();
      return saved;
    }
  };
  return {
    load: () => Promise.resolve(settings),
    change: (name: string, value: unknown) => void settings.set(name, value)
  };
}

describe('Preferences', () => {
  it('follow the stored settings', async () => {
    const stored = registry({ delay: 40 });
    const preferences = new Preferences();
    const delays: number[] = [];
    preferences.changed.connect((_, { delay }) => delays.push(delay));
    await preferences.load(stored as unknown as ISettingRegistry, 'plugin');
    stored.change('delay', 90);
    expect([delays, preferences.current.delay]).toEqual([[40, 90], 90]);
  });

  it('round numbers, which the schema allows to be fractions', async () => {
    const preferences = new Preferences();
    const stored = registry({ delay: 150.5, alternatives: 2.4, enabled: false });
    await preferences.load(stored as unknown as ISettingRegistry, 'plugin');
    expect(preferences.current).toMatchObject({ delay: 151, alternatives: 2, enabled: false });
    expect(JSON.stringify(schema)).not.toContain('"integer"');
  });

  it('store a changed setting', async () => {
    const composite = {};
    const preferences = new Preferences();
    await preferences.load(registry(composite) as unknown as ISettingRegistry, 'plugin');
    await preferences.change({ enabled: false });
    expect([composite, preferences.current.enabled]).toEqual([{ enabled: false }, false]);
  });

  it('change without a store', async () => {
    const preferences = new Preferences();
    await preferences.change({ enabled: false });
    expect(preferences.current.enabled).toBe(false);
  });
});
