from cnnlab.report import main

main()
