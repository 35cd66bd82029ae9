from imgnom.site.cli import main

raise SystemExit(main())
