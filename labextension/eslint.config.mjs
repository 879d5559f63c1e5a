import js from '@eslint/js';
import ts from 'typescript-eslint';

export default ts.config(
  { ignores: ['lib/', 'node_modules/', 'ui-results/', 'demo/dist/'] },
  js.configs.recommended,
  {
    files: ['src/**/*.ts', 'demo/*.ts'],
    extends: [...ts.configs.strictTypeChecked, ...ts.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.eslint.json', './demo/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      // JupyterLab's own convention: interfaces begin with an I.
      '@typescript-eslint/naming-convention': [
        'error',
        { selector: 'interface', format: ['PascalCase'], prefix: ['I'] }
      ],
      '@typescript-eslint/no-namespace': 'off',
      // A type that only shapes the answer still says what is read.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // Code points are what the server counts, and what Array.from gives.
      '@typescript-eslint/no-misused-spread': 'off',
      // JupyterLab's types promise more than older versions keep.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true } }]
    }
  },
  {
    files: ['ui-tests/**/*.mjs', 'extension-tests/*.mjs', 'models/*.mjs', 'demo/*.mjs', '*.mjs'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'fetch',
          'setTimeout',
          'clearTimeout',
          'document',
          'window',
          'navigator',
          'URL'
        ].map(name => [name, 'readonly'])
      )
    }
  }
);
